package machineimages

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/open-executor/executor/dev/release/machineimages/cloudtest"
)

const home = "us-west-2"

// newPush publishes an image that Packer made an hour ago, in all regions but those that are missing, of a family with a past.
func newPush(t *testing.T, kind image, runType string, missing ...string) script {
	t.Helper()
	s := newScript(t, kind, "push", runType)
	return s.in(t, few, missing...)
}

// few are the regions of most tests.
const few = "dev/release/machineimages/testdata/regions.json"

// in has an image that was just made, in the regions that a file lists.
func (s script) in(t *testing.T, regions string, missing ...string) script {
	t.Helper()
	s.arguments = []string{filepath.Join(s.bin, "gcloud"), "--regions=" + ours(t, regions)}
	s.seed(t, missing)
	return s
}

func (s script) regions(t *testing.T) []string {
	t.Helper()
	var regions []string
	_, path, _ := strings.Cut(s.arguments[1], "=")
	require.NoError(t, json.Unmarshal([]byte(read(t, path)), &regions))
	return regions
}

func (s script) name() string { return s.environment["IMAGE_FAMILY"] + "-" + number }

func (s script) seed(t *testing.T, missing []string) {
	t.Helper()
	family, tagged := s.environment["IMAGE_FAMILY"], s.environment["EXECUTOR_IS_TAGGED_RELEASE"] == "true"
	mark := map[string]string{"Release": "false", "Amazon_AMI_Management_Identifier": family}
	if tagged {
		mark = map[string]string{"Release": "true"}
	}
	cloud := cloudtest.New()
	cloud.AddGoogle(s.name(), "", "2026-01-01T18:04:05.123-08:00").Labels = map[string]string{"release": s.environment["EXECUTOR_IS_TAGGED_RELEASE"]}
	for number, created := range past {
		cloud.AddGoogle(family+"-"+number, family, created+"T18:04:05.123-08:00")
		for _, region := range []string{home, "eu-west-1"} {
			cloud.AddAmazon(region, family+"-"+number, created+"T03:04:05.000Z", mark).Public = true
		}
	}
	// Of the same family, but a release, and another's.
	cloud.AddGoogle(family+"-2", family, "2025-01-01T18:04:05.123-08:00").Labels = map[string]string{"release": "true"}
	cloud.AddAmazon(home, family+"-2", "2025-01-01T03:04:05.000Z", map[string]string{"Release": "true"})
	cloud.AddAmazon(home, "another-3", "2025-01-01T03:04:05.000Z", map[string]string{"Amazon_AMI_Management_Identifier": "another"})
	for _, region := range s.regions(t) {
		if region == home || tagged && !slices.Contains(missing, region) {
			cloud.AddAmazon(region, s.name(), "2026-01-02T02:04:05.000Z", mark)
		}
	}
	require.NoError(t, cloud.Save(s.state))
}

// past are earlier builds of a family. The first three of what there is with the new one stay, and what is younger than 60 days.
var past = map[string]string{"50001": "2025-12-30", "50002": "2025-12-01", "50003": "2025-11-20", "50004": "2025-10-01", "50005": "2025-01-01"}

// The calls of a run that nothing happens to, and those of another one after it, which changes nothing.
func TestPushCalls(t *testing.T) {
	t.Parallel()
	for _, kind := range images {
		for _, runType := range runTypes {
			name := "push_" + kind.folder + "_" + runType
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newPush(t, kind, runType, "eu-west-1")
				got := s.succeed(t)
				golden(t, name, s.calls(t))
				clone, err := workspace()
				require.NoError(t, err)
				require.Contains(t, got.Stdout, s.name()+" is published; published/"+s.environment["IMAGE_FAMILY"]+" names ")
				commit := strings.TrimSpace(read(t, filepath.Join(s.place, "published", s.environment["IMAGE_FAMILY"])))
				require.Equal(t, strings.TrimSpace(read(t, filepath.Join(clone, ".git/refs/heads/main"))), commit)

				before := read(t, filepath.Join(s.state, "cloud.json"))
				s.forgetCalls(t)
				s.succeed(t)
				require.JSONEq(t, before, read(t, filepath.Join(s.state, "cloud.json")))
				for _, call := range lines(s.calls(t)) {
					require.Regexp(t, `^(aws ec2|gcloud compute images) (describe|get|list)`, call, "a second run only looks")
				}
			})
		}
	}
}

func TestPushMakesPublicInEveryRegion(t *testing.T) {
	t.Parallel()
	s := newPush(t, images[0], "tagged_release").in(t, "vm-image/aws_regions.json", "eu-west-1", "sa-east-1")
	s.succeed(t)
	cloud := s.cloud(t)
	require.Len(t, s.regions(t), 21)
	for _, region := range s.regions(t) {
		image := cloud.AMI(region, s.name())
		require.True(t, image.Public, region)
		require.Equal(t, "2028-01-02T02:04:00.000Z", image.DeprecationTime, region)
	}
	require.Equal(t, "sourcegraph-executors-5-3", cloud.Google[s.name()].Family)
	require.Equal(t, []string{"allAuthenticatedUsers"}, cloud.Google[s.name()].Users)
	require.Len(t, cloud.Google, 7, "a release removes nothing")
	require.Len(t, cloud.Amazon[home].Images, 8)
}

func TestPushRemovesOldNightlyImagesOnly(t *testing.T) {
	t.Parallel()
	s := newPush(t, images[0], "main_everything")
	s.succeed(t)
	cloud := s.cloud(t)
	family := s.environment["IMAGE_FAMILY"]
	amazon := func(region string) (names []string) {
		for _, image := range cloud.Amazon[region].Images {
			names = append(names, strings.TrimPrefix(image.Name, family+"-"))
			require.Contains(t, cloud.Amazon[region].Snapshots, image.Snapshot)
		}
		require.Len(t, cloud.Amazon[region].Snapshots, len(names), "no snapshot without an image stays")
		slices.Sort(names)
		return names
	}
	require.Equal(t, []string{"2", "50001", "50002", "50003", number, "another-3"}, amazon(home))
	require.Equal(t, []string{"50001", "50002", "50003"}, amazon("eu-west-1"), "there the newest three are older ones")

	google := map[string]string{}
	for name, image := range cloud.Google {
		google[strings.TrimPrefix(name, family+"-")] = image.Deprecated["state"] + " " + image.Deprecated["obsolete"] + " " + image.Deprecated["deleted"]
	}
	require.Equal(t, map[string]string{
		"2": "  ", number: "  ",
		"50001": "DEPRECATED 2026-01-30T02:04:05Z 2026-03-01T02:04:05Z",
		"50002": "DEPRECATED 2026-01-01T02:04:05Z 2026-01-31T02:04:05Z",
		"50003": "DEPRECATED 2025-12-21T02:04:05Z 2026-01-20T02:04:05Z",
	}, google)
}

// The newest of a family stay, however old they are.
func TestPushKeepsTheNewest(t *testing.T) {
	t.Parallel()
	s := newPush(t, images[0], "main_everything").with("EXECUTOR_IMAGE_KEEP", "5", "EXECUTOR_IMAGE_KEEP_DAYS", "2")
	s.succeed(t)
	require.Len(t, s.cloud(t).Google, 6)
	require.Len(t, s.cloud(t).Amazon[home].Images, 7)
	require.Len(t, s.cloud(t).Amazon["eu-west-1"].Images, 5)
}

func TestPushToOneCloud(t *testing.T) {
	t.Parallel()
	for builder, want := range map[string]string{"amazon-ebs": "aws ec2 ", "googlecompute": "gcloud compute images "} {
		s := newPush(t, images[0], "tagged_release").with("EXECUTOR_IMAGE_BUILDERS", builder)
		s.succeed(t)
		for _, call := range lines(s.calls(t)) {
			require.True(t, strings.HasPrefix(call, want), call)
		}
	}
}

// random are parts of names that differ from run to run.
var random = regexp.MustCompile(`(\.new|TMP/tmp)[-.][A-Za-z0-9.-]+`)

func TestPushDryRunCallsNothing(t *testing.T) {
	t.Parallel()
	for _, runType := range []string{"main_everything", "tagged_release"} {
		s := newPush(t, images[0], runType)
		got := s.succeed(t, "--dry-run")
		require.Empty(t, s.calls(t))
		require.NoFileExists(t, s.place)
		golden(t, "push_dry_"+runType, random.ReplaceAllString(strings.NewReplacer(s.bin, "BIN", s.place, "PLACE", s.scratch, "TMP").Replace(got.Stdout), "$1"))
		require.Empty(t, got.Stderr)
	}
	// It needs nothing but what it reads of the machine.
	s := newPush(t, images[0], "main_everything")
	require.NoError(t, os.Remove(filepath.Join(s.bin, "aws")))
	s.succeed(t, "--dry-run")
}
