package config_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/config"
)

// environment makes a look-up of a map.
func environment(values map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

var kinds = config.Table{Variables: []config.Variable{
	{Name: "TEXT", Kind: config.String, Default: "text"},
	{Name: "NEEDED", Kind: config.String, Required: true},
	{Name: "OPTIONAL", Kind: config.Optional},
	{Name: "DOCUMENT", Kind: config.JSON},
	{Name: "LIST", Kind: config.List},
	{Name: "NUMBER", Kind: config.Int, Default: "4", Aliases: []string{"OLD_NUMBER", "OLDEST_NUMBER"}},
	{Name: "FLAG", Kind: config.Bool, DefaultText: "it depends"},
	{Name: "TIME", Kind: config.Duration, Default: "1s"},
	{Name: "AMOUNT", Kind: config.Quantity},
	{Name: "BYTES", Kind: config.Size, Default: "8"},
	{Name: "PIN", Kind: config.Int, Default: "0", Secret: true},
}}

func newReader(values map[string]string) *config.Reader {
	return config.NewReader(kinds, environment(values), map[string]string{"FLAG": "true"})
}

func TestReaderReadsEachKind(t *testing.T) {
	t.Parallel()
	text := func(name string) func(*config.Reader) any {
		return func(r *config.Reader) any { return r.String(name) }
	}
	optional := func(r *config.Reader) any { return r.Optional("OPTIONAL") }
	list := func(r *config.Reader) any { return r.Elements("LIST") }
	number := func(r *config.Reader) any { return r.Int("NUMBER") }
	flag := func(r *config.Reader) any { return r.Bool("FLAG") }
	duration := func(r *config.Reader) any { return r.Duration("TIME") }
	amount := func(r *config.Reader) any { return config.Parsed(r, "AMOUNT", strconv.Atoi) }
	bytes := func(r *config.Reader) any { return config.Parsed(r, "BYTES", strconv.Atoi) }

	for name, test := range map[string]struct {
		env  map[string]string
		read func(*config.Reader) any
		want any
	}{
		"text default":           {nil, text("TEXT"), "text"},
		"text":                   {map[string]string{"TEXT": " a "}, text("TEXT"), " a "},
		"optional default":       {nil, optional, ""},
		"optional":               {map[string]string{"OPTIONAL": "a"}, optional, "a"},
		"document":               {map[string]string{"DOCUMENT": "{}"}, func(r *config.Reader) any { return r.Optional("DOCUMENT") }, "{}"},
		"list default":           {nil, list, []string(nil)},
		"list blank":             {map[string]string{"LIST": " "}, list, []string(nil)},
		"list":                   {map[string]string{"LIST": " a, b ,c"}, list, []string{"a", "b", "c"}},
		"list with empty":        {map[string]string{"LIST": "a,,"}, list, []string{"a", "", ""}},
		"int default":            {nil, number, 4},
		"int":                    {map[string]string{"NUMBER": "-3"}, number, -3},
		"int by alias":           {map[string]string{"OLD_NUMBER": "7"}, number, 7},
		"int by second alias":    {map[string]string{"OLDEST_NUMBER": "9"}, number, 9},
		"name beats alias":       {map[string]string{"OLD_NUMBER": "7", "NUMBER": "8"}, number, 8},
		"bool computed default":  {nil, flag, true},
		"bool":                   {map[string]string{"FLAG": "F"}, flag, false},
		"duration default":       {nil, duration, time.Second},
		"duration":               {map[string]string{"TIME": "1m30s"}, duration, 90 * time.Second},
		"duration zero":          {map[string]string{"TIME": "0"}, duration, time.Duration(0)},
		"quantity default":       {nil, amount, 0},
		"quantity":               {map[string]string{"AMOUNT": "5"}, amount, 5},
		"quantity set but empty": {map[string]string{"AMOUNT": ""}, amount, 0},
		"size default":           {nil, bytes, 8},
		"size":                   {map[string]string{"BYTES": "5"}, bytes, 5},
		"size as text":           {nil, text("BYTES"), "8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader := newReader(test.env)
			require.Equal(t, test.want, test.read(reader))
			require.Empty(t, reader.Errors())
		})
	}
}

func TestReaderCollectsErrorsInOrderOfReading(t *testing.T) {
	t.Parallel()
	reader := newReader(map[string]string{
		"TEXT": "", "OLD_NUMBER": "many", "FLAG": "yes", "TIME": "5", "AMOUNT": "x", "BYTES": "", "PIN": "hunter2", "LIST": "a",
	})
	reader.String("TEXT")
	reader.String("NEEDED")
	reader.Int("NUMBER")
	reader.Bool("FLAG")
	reader.Duration("TIME")
	config.Parsed(reader, "AMOUNT", strconv.Atoi)
	config.Parsed(reader, "BYTES", strconv.Atoi)
	reader.Int("PIN")
	reader.Elements("LIST")

	var texts []string
	for _, err := range reader.Errors() {
		texts = append(texts, err.Error())
	}
	require.Equal(t, []string{
		`invalid value "" for TEXT: no value supplied`,
		`invalid value "" for NEEDED: no value supplied`,
		`invalid int "many" for OLD_NUMBER: strconv.Atoi: parsing "many": invalid syntax`,
		`invalid bool "yes" for FLAG: strconv.ParseBool: parsing "yes": invalid syntax`,
		`invalid duration "5" for TIME: time: missing unit in duration "5"`,
		`invalid quantity "x" for AMOUNT: strconv.Atoi: parsing "x": invalid syntax`,
		`invalid value "" for BYTES: no value supplied`,
		`invalid int for PIN: the value is a secret and not shown`,
	}, texts)
	require.True(t, reader.Failed("NUMBER"), "failed by its alias")
	require.False(t, reader.Failed("LIST"))
	require.Equal(t, "OLD_NUMBER", reader.UsedName("NUMBER"))
	require.Equal(t, "TEXT", reader.UsedName("TEXT"))
}

func TestReaderPanicsOnMistakesOfTheProgram(t *testing.T) {
	t.Parallel()
	reader := newReader(nil)
	require.PanicsWithValue(t, "config: NOWHERE is not in the table", func() { reader.String("NOWHERE") })
	require.Panics(t, func() { reader.Int("TEXT") })
	require.Panics(t, func() { reader.String("OPTIONAL") })
}

func TestJoin(t *testing.T) {
	t.Parallel()
	first, second := errors.New("first"), errors.New("second")
	require.NoError(t, config.Join(nil))
	require.Equal(t, first, config.Join([]error{first}))
	both := config.Join([]error{first, second})
	require.EqualError(t, both, "2 errors occurred:\n\t* first\n\t* second")
	require.ErrorIs(t, both, second)
}
