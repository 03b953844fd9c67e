package version

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/internal/api"
	"github.com/open-executor/executor/internal/api/jobs"
)

func TestUnstampedBuildIsADevelopmentBuild(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0.0.0+dev", Version())
	require.True(t, IsDev(Version()))
	require.Zero(t, Built())
}

func TestParseTimestamp(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Date(2024, 5, 9, 12, 0, 0, 0, time.UTC), parseTimestamp("1715256000"))
	for _, unset := range []string{"", "0", "-5", "{VERSION_TIMESTAMP}"} {
		require.Zero(t, parseTimestamp(unset), unset)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	day := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	for text, want := range map[string]build{
		"dev":                             {kind: dev},
		"0.0.0+dev":                       {kind: dev},
		"5.2":                             {kind: release, major: 5, minor: 2},
		"5.2.1":                           {kind: release, major: 5, minor: 2},
		"v5.12.10":                        {kind: release, major: 5, minor: 12},
		"4.3.0-rc.1":                      {kind: release, major: 4, minor: 3},
		"4.3.0-0+build.7":                 {kind: release, major: 4, minor: 3},
		"5.2.x":                           {kind: release, major: 5, minor: 2},
		"5.2_2023-09-01_0123abc":          {kind: release, major: 5, minor: 2},
		"5.2.x_247561_2023-09-27_0123abc": {kind: release, major: 5, minor: 2},
		"168065_2022-08-25_0123abc":       {kind: dated, date: day(2022, 8, 25)},
		"main_2024-02-29_5.2-0123abc":     {kind: dated, date: day(2024, 2, 29)},
	} {
		got, err := parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "5", "x.y", "latest", "5.2garbage", "5.2.", "5.-2", "5.2.1 ", "168065_2022-13-25_0123abc", "168065_2023-02-29_abc",
		"168065_2022-08-25", "168065_2022-08-25_", "_2022-08-25_abc", "99999999999.1.0", "5.2\n",
	} {
		_, err := parse(text)
		require.ErrorContains(t, err, "version ", text)
	}
}

func TestPublishedCompatibilityTable(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"3.43.0", "3.43.3"} {
		for executor, want := range map[string]string{
			"3.43.0": jobs.UpToDate, "3.43.9": jobs.UpToDate,
			"3.44.0": jobs.UpToDate, "3.44.9": jobs.UpToDate,
			"3.42.0": jobs.UpToDate, "3.42.9": jobs.UpToDate,
			"3.41.0": jobs.Outdated, "3.41.9": jobs.Outdated,
			"3.45.0": jobs.VersionAhead, "3.45.9": jobs.VersionAhead,
		} {
			got, err := Compatibility(server, executor)
			require.NoError(t, err)
			require.Equal(t, want, got, "server %s, executor %s", server, executor)
		}
	}
}

func TestCompatibility(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, server, executor, want string }{
		{"major behind, minors near", "4.0.0", "3.99.0", jobs.Outdated},
		{"major ahead, minors near", "3.99.0", "4.0.0", jobs.VersionAhead},
		{"major behind, minor ahead", "4.1.0", "3.9.0", jobs.Outdated},
		{"pre-releases don't count", "3.43.0-rc.1", "3.42.9-rc.2", jobs.UpToDate},
		{"daily build of a release branch", "5.2.0", "5.4.x_2023-09-01_abc", jobs.VersionAhead},
		{"dated, 35 days behind", "1_2023-02-05_a", "1_2023-01-01_b", jobs.UpToDate},
		{"dated, 36 days behind", "1_2023-02-06_a", "1_2023-01-01_b", jobs.Outdated},
		{"dated, 35 days ahead", "1_2023-01-01_a", "1_2023-02-05_b", jobs.UpToDate},
		{"dated, 36 days ahead", "1_2023-01-01_a", "1_2023-02-06_b", jobs.VersionAhead},
		{"dated server only", "1_2023-01-01_a", "5.2.0", ""},
		{"dated executor only", "5.2.0", "1_2023-01-01_a", ""},
		{"dev server", "0.0.0+dev", "3.0.0", ""},
		{"dev executor", "3.0.0", "dev", ""},
		{"dev on both sides", "dev", "0.0.0+dev", ""},
	} {
		got, err := Compatibility(test.server, test.executor)
		require.NoError(t, err, test.name)
		require.Equal(t, test.want, got, test.name)
	}
}

func TestCompatibilityOfUnparsableVersions(t *testing.T) {
	t.Parallel()
	_, err := Compatibility("latest", "5.2.0")
	require.ErrorContains(t, err, `server: version "latest"`)
	_, err = Compatibility("5.2.0", "")
	require.ErrorContains(t, err, `executor: version ""`)
}

func TestJobPayloadVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"":                           api.JobV1,
		"dev":                        api.JobV2,
		"0.0.0+dev":                  api.JobV2,
		"100_2022-11-23_0123abc":     api.JobV1,
		"100_2022-11-24_0123abc":     api.JobV2,
		"100_2024-01-01_5.2-0123abc": api.JobV2,
		"3.43.3":                     api.JobV1,
		"4.2.9":                      api.JobV1,
		"4.3.0-0":                    api.JobV2,
		"4.3.0-rc.1":                 api.JobV2,
		"4.3.0":                      api.JobV2,
		"5.0.0":                      api.JobV2,
		"10.0":                       api.JobV2,
	} {
		got, err := JobPayloadVersion(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	_, err := JobPayloadVersion("latest")
	require.ErrorContains(t, err, `version "latest"`)
}

func FuzzVersions(f *testing.F) {
	for _, seed := range []string{"", "dev", "5.2.0", "4.3.0-rc.1", "1_2023-01-01_abc", "v1.2", "5.2.x_1_2023-01-01_a", "1_2023-99-01_abc", "é.1"} {
		f.Add(seed, "5.2.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		there, thereErr := Compatibility(a, b)
		back, backErr := Compatibility(b, a)
		require.Equal(t, thereErr == nil, backErr == nil)
		mirrored := map[string]string{
			"": "", jobs.UpToDate: jobs.UpToDate, jobs.Outdated: jobs.VersionAhead, jobs.VersionAhead: jobs.Outdated,
		}
		require.Equal(t, mirrored[there], back, "swapping the sides swaps the verdict")

		payload, err := JobPayloadVersion(a)
		_, parseErr := parse(a)
		require.Equal(t, a == "" || parseErr == nil, err == nil)
		if err == nil {
			require.Contains(t, []int{api.JobV1, api.JobV2}, payload)
		}
	})
}
