-- Times that people see (…_at) are wall-clock microseconds since 1970. Times that decide something (…_tick) are milliseconds
-- of the store's steady clock, which no change of the wall clock moves.

CREATE TABLE queues (
  name TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE jobs (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  queue       TEXT NOT NULL REFERENCES queues (name),
  state       TEXT NOT NULL CHECK (state IN ('queued', 'processing', 'errored', 'completed', 'failed', 'canceled')),
  cancel      INTEGER NOT NULL DEFAULT 0,
  reason      TEXT NOT NULL DEFAULT '',
  retry_of    INTEGER REFERENCES jobs (id),
  retries     INTEGER NOT NULL,
  timeout_ms  INTEGER NOT NULL,
  failures    INTEGER NOT NULL DEFAULT 0,
  resets      INTEGER NOT NULL DEFAULT 0,
  -- The current or last attempt and its executor; 0 and '' before the first.
  attempt     INTEGER NOT NULL DEFAULT 0,
  executor    TEXT NOT NULL DEFAULT '',
  -- SHA-256 of the job token; set while the lease lives.
  token_hash  BLOB,
  queued_at   INTEGER NOT NULL,
  started_at  INTEGER,
  finished_at INTEGER,
  -- From when on a queued or errored job may be leased.
  due_tick    INTEGER NOT NULL,
  -- Begin of the current or last attempt, and when its executor was last heard of.
  leased_tick INTEGER NOT NULL DEFAULT 0,
  heard_tick  INTEGER NOT NULL DEFAULT 0,
  CHECK ((token_hash IS NULL) OR (state = 'processing')),
  CHECK ((finished_at IS NOT NULL) = (state IN ('completed', 'failed', 'canceled')))
);

CREATE INDEX jobs_waiting ON jobs (queue, due_tick, id) WHERE state IN ('queued', 'errored');
CREATE INDEX jobs_running ON jobs (queue, executor, id) WHERE state = 'processing';
CREATE INDEX jobs_by_queue ON jobs (queue, id);
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE UNIQUE INDEX jobs_by_token ON jobs (token_hash) WHERE token_hash IS NOT NULL;

-- What was submitted, as JSON without secret values.
CREATE TABLE specs (
  job_id INTEGER PRIMARY KEY REFERENCES jobs (id),
  spec   BLOB NOT NULL
);

CREATE TABLE secrets (
  job_id INTEGER NOT NULL REFERENCES jobs (id),
  name   TEXT NOT NULL,
  value  TEXT NOT NULL,
  PRIMARY KEY (job_id, name)
) WITHOUT ROWID;

CREATE TABLE attempts (
  job_id     INTEGER NOT NULL REFERENCES jobs (id),
  number     INTEGER NOT NULL,
  executor   TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  cause      TEXT NOT NULL DEFAULT '',
  message    TEXT NOT NULL DEFAULT '',
  -- Length of the attempt's log in bytes.
  log_bytes  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job_id, number),
  CHECK ((ended_at IS NULL) = (cause = ''))
) WITHOUT ROWID;

CREATE TABLE entries (
  job_id      INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  id          INTEGER NOT NULL,
  key         TEXT NOT NULL,
  command     TEXT NOT NULL,
  started_at  INTEGER,
  exit_code   INTEGER,
  duration_ms INTEGER,
  -- Length and SHA-256 of the entry's output as it is in the log, so that an update need not read it.
  out_bytes   INTEGER NOT NULL,
  out_sum     BLOB NOT NULL,
  -- The output was replaced by nothing: the next chunk of this entry is a reset.
  reset_due   INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job_id, attempt, id),
  FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, number)
) WITHOUT ROWID;

-- The log's bytes. begins is the offset of the first byte of data in the attempt's log; data is never empty.
CREATE TABLE chunks (
  job_id  INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  begins  INTEGER NOT NULL,
  entry   INTEGER NOT NULL,
  reset   INTEGER NOT NULL,
  data    BLOB NOT NULL,
  UNIQUE (job_id, attempt, begins),
  FOREIGN KEY (job_id, attempt, entry) REFERENCES entries (job_id, attempt, id)
);

CREATE TABLE executors (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT NOT NULL UNIQUE,
  queues        TEXT NOT NULL,
  telemetry     TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_seen_at  INTEGER NOT NULL
);
