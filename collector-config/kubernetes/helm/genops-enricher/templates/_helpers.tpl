{{- define "genops-enricher.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "genops-enricher.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "genops-enricher.labels" -}}
{{ include "genops-enricher.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "genops-enricher.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "genops-enricher.name" .) }}
{{- end }}

{{/* The whole configuration: what the chart decides, and over it what the values say. */}}
{{- define "genops-enricher.config" -}}
{{- $own := fromYaml (tpl (.Files.Get "files/enricher.yaml") .) }}
{{- if .Values.overlays }}
{{- $paths := list }}
{{- range $name := keys .Values.overlays | sortAlpha }}
{{- $paths = append $paths (printf "/etc/genops-enricher/overlays/%s" $name) }}
{{- end }}
{{- $own = mergeOverwrite $own (dict "enrichment" (dict "overlays" $paths)) }}
{{- end }}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.config)) }}
{{- end }}
