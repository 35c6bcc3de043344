// An application with the OpenTelemetry SDK for Go: one call of an LLM inside a request.
//
//	go_app grpc|protobuf HOST:PORT none|gzip RESPONSE_ID
package main

import (
	"context"
	"log"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	protocol, endpoint, compression, id := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	ctx := context.Background()
	exporter, err := newExporter(ctx, protocol, endpoint, compression == "gzip")
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter))
	tracer := provider.Tracer("go")
	ctx, request := tracer.Start(ctx, "POST /ask")
	_, call := tracer.Start(ctx, "chat", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "chat"),
		attribute.String("gen_ai.provider.name", "openrouter"),
		attribute.String("gen_ai.request.model", "openai/gpt-4o"),
		attribute.String("gen_ai.response.model", "openai/gpt-4o"),
		attribute.String("gen_ai.response.id", id),
		attribute.String("server.address", "openrouter.ai"),
		attribute.Int("gen_ai.usage.input_tokens", 1000),
		attribute.Int("gen_ai.usage.output_tokens", 100),
	))
	call.End()
	request.End()
	if err := provider.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}

func newExporter(ctx context.Context, protocol, endpoint string, gzip bool) (sdk.SpanExporter, error) {
	if protocol == "grpc" {
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure()}
		if gzip {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpoint(endpoint), otlptracehttp.WithInsecure()}
	if gzip {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	return otlptracehttp.New(ctx, options...)
}
