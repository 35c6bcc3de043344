"""Several processes on one machine: a supervisor, and workers that share its ports.

    supervisor   starts, watches, reloads and stops the workers; serves the health pages
    slot         the place of one worker: its process, and the one after that if it dies
    process      one worker process, as the supervisor holds it
    worker       what runs in that process: a whole `Service`, told what to do over a pipe
    ports        keeps the ports for the workers, and others away from them
    folders      which folder is whose, and which ones nobody has any more
    merge        one metrics page out of many

See docs/adr/0019-workers.md. With `service.workers: 1` the service runs without any of this.
"""
