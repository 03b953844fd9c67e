package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/open-executor/executor/internal/fault"
)

// applicationID marks our database files in SQLite's header: "Exec" in ASCII.
const applicationID = 0x45786563

//go:embed migrations/*.sql
var migrationFiles embed.FS

type migration struct {
	version int
	name    string
	script  string
}

// migrations returns the embedded scripts, numbered from 1 without gaps by the digits that their names begin with.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var list []migration
	for i, name := range names {
		digits, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(digits)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %d", name, i+1)
		}
		script, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list = append(list, migration{version, path.Base(name), string(script)})
	}
	return list, nil
}

// migrate brings the schema to the newest version, each step in a transaction of its own. It refuses a schema that is newer than
// this build, and a database that is not ours.
func migrate(ctx context.Context, db *sql.DB) error {
	list, err := migrations()
	if err != nil {
		return err
	}
	current, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if current > len(list) {
		return fault.Operatorf("the schema has version %d and this build knows versions up to %d: "+
			"run the build that wrote it or a newer one, or name another database", current, len(list))
	}
	for _, step := range list[current:] {
		if err := step.apply(ctx, db); err != nil {
			return fmt.Errorf("migration %s: %w", step.name, err)
		}
	}
	return nil
}

// schemaVersion returns 0 for an empty database.
func schemaVersion(ctx context.Context, db *sql.DB) (int, error) {
	var id, tables int
	if err := db.QueryRowContext(ctx, `SELECT application_id FROM pragma_application_id`).Scan(&id); err != nil {
		return 0, err
	}
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return 0, err
	}
	switch {
	case id == 0 && tables == 0:
		return 0, nil
	case id != applicationID:
		return 0, fault.Operatorf("it is the database of another program (application id %#x): name another file", id)
	}
	var version int
	err := db.QueryRowContext(ctx, `SELECT max(version) FROM schema_version`).Scan(&version)
	return version, err
}

func (m migration) apply(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	script := m.script
	if m.version == 1 {
		script = fmt.Sprintf("PRAGMA application_id = %d;", applicationID) +
			"CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL);" + script
	}
	if _, err := tx.ExecContext(ctx, script); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO schema_version (version, name) VALUES (?, ?)`, m.version, m.name); err != nil {
		return err
	}
	return tx.Commit()
}
