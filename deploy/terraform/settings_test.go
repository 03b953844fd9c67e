package terraform_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// given are the variables of executors that have no default.
func given(cloud string, more map[string]any) map[string]any {
	all := map[string]any{
		"frontend_url": "https://frontend.example.com",
		"queue_names":  []string{"batches"},
	}
	switch cloud {
	case "aws":
		maps.Copy(all, map[string]any{
			"ami_family":           "executors-mine",
			"subnet_ids":           []string{"subnet-0a1b"},
			"security_group_id":    "sg-0a1b",
			"instance_profile_arn": "arn:aws:iam::123456789012:instance-profile/executors-executor",
			"token_secret":         "arn:aws:secretsmanager:eu-west-1:123456789012:secret:executor-token-AbCdEf",
		})
	case "gcp":
		maps.Copy(all, map[string]any{
			"project":               "my-project",
			"region":                "europe-west1",
			"image_project":         "my-project",
			"image_family":          "executors-mine",
			"subnetwork":            "projects/my-project/regions/europe-west1/subnetworks/executors-subnet",
			"service_account_email": "executors-executor@my-project.iam.gserviceaccount.com",
			"token_secret":          "projects/my-project/secrets/executor-token",
		})
	}
	maps.Copy(all, more)
	return all
}

var settingsOf = map[string]string{"aws": "user_data", "gcp": "settings_text"}

// firstBoot has the machine's own script read the settings, with a secret manager that answers with what it was asked for.
func firstBoot(t *testing.T, settings string) (string, error) {
	t.Helper()
	shell, err := exec.LookPath("bash")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "settings")
	require.NoError(t, os.WriteFile(file, []byte(settings), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, shell, "-euo", "pipefail", "-c", `
		default_runtime=docker
		source ../../vm-image/first-boot/settings.sh
		cloud_keeps_secrets() { return 1; }
		cloud_secret() { printf 'value of %s' "$2"; }
		settings_read <"$1"
		settings_text`, "first-boot", file)
	out, err := command.CombinedOutput()
	return string(out), err
}

// What Terraform writes the machine reads: the script of the image says so itself.
func TestMachinesReadTheirSettings(t *testing.T) {
	t.Parallel()
	if missing(t) {
		return
	}
	for cloud, local := range settingsOf {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			least, err := evaluate(t, cloud+"/executors", given(cloud, nil), local, "metric_queue")
			require.NoError(t, err)
			read, err := firstBoot(t, decode[string](t, least[local]))
			require.NoError(t, err, read)
			require.Contains(t, read, `EXECUTOR_FRONTEND_URL="https://frontend.example.com"`)
			require.Contains(t, read, `EXECUTOR_FRONTEND_PASSWORD="value of `+given(cloud, nil)["token_secret"].(string)+`"`)
			require.Contains(t, read, `EXECUTOR_QUEUE_NAME="batches"`)
			require.Contains(t, read, `EXECUTOR_RUNTIME="docker"`)
			require.NotContains(t, read, "QUEUE_NAMES")
			require.NotContains(t, read, "MIRROR")
			require.Equal(t, "batches", decode[string](t, least["metric_queue"]))

			all, err := evaluate(t, cloud+"/executors", given(cloud, map[string]any{
				"queue_names":               []string{"codeintel", "batches"},
				"runtime":                   "firecracker",
				"jobs_per_machine":          3,
				"mirror_address":            "10.0.1.7",
				"docker_auth_config_secret": given(cloud, nil)["token_secret"],
				"settings": map[string]string{
					"SRC_LOG_FORMAT":        "json",
					"EXECUTOR_JOB_NUM_CPUS": "2",
					// What the module itself knows better.
					"EXECUTOR_FRONTEND_URL": "https://elsewhere.example.com",
				},
			}), local, "metric_queue")
			require.NoError(t, err)
			read, err = firstBoot(t, decode[string](t, all[local]))
			require.NoError(t, err, read)
			for _, line := range []string{
				`EXECUTOR_QUEUE_NAMES="codeintel,batches"`, `EXECUTOR_RUNTIME="firecracker"`, `EXECUTOR_MAXIMUM_NUM_JOBS="3"`,
				`EXECUTOR_DOCKER_REGISTRY_MIRROR_URL="http://10.0.1.7:5000"`, `DOCKER_REGISTRY_NODE_EXPORTER_URL="http://10.0.1.7:9999"`,
				`EXECUTOR_DOCKER_AUTH_CONFIG="value of`, `SRC_LOG_FORMAT="json"`, `EXECUTOR_JOB_NUM_CPUS="2"`,
				`EXECUTOR_FRONTEND_URL="https://frontend.example.com"`,
			} {
				require.Contains(t, read, line)
			}
			// As the metric's sender joins them.
			require.Equal(t, "batches_codeintel", decode[string](t, all["metric_queue"]))
		})
	}
}

// A mistake is told by the name of the variable, before anything is made.
func TestMistakesAreRefused(t *testing.T) {
	t.Parallel()
	if missing(t) {
		return
	}
	for cloud, local := range settingsOf {
		for _, wrong := range []map[string]any{
			{"token_secret": "0123456789abcdef0123456789abcdef"},
			{"settings": map[string]string{"EXECUTOR_FRONTEND_PASSWORD": "hunter2hunter2hunter2"}},
			{"settings": map[string]string{"LD_PRELOAD": "/tmp/x"}},
			{"settings": map[string]string{"EXECUTOR_JOB_NUM_CPUS": "2\nEXECUTOR_RUNTIME=shell"}},
			{"runtime": "shell"},
			{"queue_names": []string{}},
			{"max_machines": 2, "min_machines": 3},
			{"frontend_url": "https://user:hunter2@frontend.example.com"},
			{"name_prefix": "Executors"},
		} {
			names := make([]string, 0, 2)
			for name := range wrong {
				names = append(names, name)
			}
			t.Run(cloud+" "+strings.Join(names, " "), func(t *testing.T) {
				t.Parallel()
				_, err := evaluate(t, cloud+"/executors", given(cloud, wrong), local)
				require.ErrorContains(t, err, "Variable ")
				require.ErrorContains(t, err, "Invalid value for variable")
			})
		}
	}
}

// The policy of AWS has steps: for every number of jobs the machines are as many as it takes, rounded up, within the bounds.
func TestStepsRoundUp(t *testing.T) {
	t.Parallel()
	if missing(t) {
		return
	}
	type step struct {
		Machines     int
		Above, Below *float64
	}
	for name, c := range map[string]struct{ least, most, jobs, stride int }{
		"few":         {0, 5, 2, 1},
		"one":         {1, 1, 2, 1},
		"twenty":      {1, 20, 4, 1},
		"many":        {1, 100, 4, 6},
		"none at all": {0, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values, err := evaluate(t, "aws/executors", given("aws", map[string]any{
				"min_machines": c.least, "max_machines": c.most, "scaling_jobs_per_machine": c.jobs,
			}), "steps", "stride")
			require.NoError(t, err)
			steps := decode[[]step](t, values["steps"])
			require.LessOrEqual(t, len(steps), 20, "AWS allows no more")
			require.Equal(t, c.stride, decode[int](t, values["stride"]))
			for jobs := range c.most*c.jobs + 10 {
				var chosen []int
				for _, s := range steps {
					if float64(jobs) >= *s.Above && (s.Below == nil || float64(jobs) < *s.Below) {
						chosen = append(chosen, s.Machines)
					}
				}
				require.Len(t, chosen, 1, "%d jobs: one step, and only one", jobs)
				want := min(c.most, max(c.least, (jobs+c.jobs-1)/c.jobs))
				require.GreaterOrEqual(t, chosen[0], want, "%d jobs", jobs)
				require.Less(t, chosen[0], want+c.stride, "%d jobs", jobs)
				require.LessOrEqual(t, chosen[0], c.most)
			}
		})
	}
}

// The mirror's list comes as cloud-init reads it.
func TestMirrorsGetTheirList(t *testing.T) {
	t.Parallel()
	if missing(t) {
		return
	}
	lines := []string{"docker-io https://registry-1.docker.io", "ghcr https://ghcr.io health=open-executor/small:latest"}
	mirrors := map[string]map[string]any{
		"aws": {
			"subnet_id": "subnet-0a1b", "availability_zone": "eu-west-1a", "security_group_id": "sg-0a1b",
			"instance_profile_name": "executors-mirror", "ami_family": "mirror-mine",
		},
		"gcp": given("gcp", map[string]any{"zone": "europe-west1-b"}),
	}
	for _, name := range []string{"frontend_url", "queue_names", "token_secret"} {
		delete(mirrors["gcp"], name)
	}
	for cloud, variables := range mirrors {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			variables["upstreams"] = lines
			values, err := evaluate(t, cloud+"/mirror", variables, "cloud_config")
			require.NoError(t, err)
			config := decode[string](t, values["cloud_config"])
			require.True(t, strings.HasPrefix(config, "#cloud-config\n"), config)
			var read struct {
				Files []struct{ Path, Permissions, Content string } `yaml:"write_files"`
			}
			require.NoError(t, yaml.Unmarshal([]byte(config), &read))
			require.Len(t, read.Files, 1)
			require.Equal(t, strings.Join(lines, "\n")+"\n", read.Files[0].Content)
			require.Equal(t, readBoot(t).upstreams, read.Files[0].Path)
			require.Equal(t, "0644", read.Files[0].Permissions)

			variables["upstreams"] = []string{"ghcr https://user:hunter2@ghcr.io"}
			_, err = evaluate(t, cloud+"/mirror", variables, "cloud_config")
			require.ErrorContains(t, err, "Variable upstreams")
		})
	}
}

// At Google the list is an attribute, and only when there is one.
func TestMirrorsAttributes(t *testing.T) {
	t.Parallel()
	if missing(t) {
		return
	}
	for _, lines := range [][]string{{}, {"docker-io https://registry-1.docker.io"}} {
		variables := given("gcp", map[string]any{"zone": "europe-west1-b", "upstreams": lines})
		for _, name := range []string{"frontend_url", "queue_names", "token_secret"} {
			delete(variables, name)
		}
		values, err := evaluate(t, "gcp/mirror", variables, "metadata")
		require.NoError(t, err)
		metadata := decode[map[string]string](t, values["metadata"])
		require.Equal(t, "TRUE", metadata["enable-oslogin"])
		require.Equal(t, len(lines) > 0, metadata["user-data"] != "")
	}
}
