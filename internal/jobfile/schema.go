package jobfile

import _ "embed"

// Schema is the JSON Schema (2020-12) of job files, for editors and other programs. It accepts every job file that Parse accepts;
// Parse refuses more, such as keys that stand twice.
//
//go:embed job.schema.json
var Schema []byte
