package manifests

import (
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/strvals"
)

// good are the least values that a chart takes.
var good = map[string]string{
	"executor": "image.registry=r.example,frontend.url=https://f.example,token.existingSecret=s,queues[0]=q",
	"frontend": "image.registry=r.example,executorToken.existingSecret=s",
}

// set are good values with others on top, as helm --set and --set-json read them.
func set(t *testing.T, chart, set, json string) map[string]any {
	t.Helper()
	values, err := strvals.Parse(good[chart])
	require.NoError(t, err)
	require.NoError(t, strvals.ParseInto(set, values))
	require.NoError(t, strvals.ParseJSON(json, values))
	return values
}

func TestTheLeastValuesRender(t *testing.T) {
	t.Parallel()
	for chart := range good {
		_, err := Render(chart, set(t, chart, "", ""), testNamespace)
		require.NoError(t, err)
	}
}

func TestSchemaRefusesWrongValuesAndSaysWhere(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		chart, set, json string
		wanted           []string
	}{
		{"executor", "replicaCount=3", "", []string{"at ''", "'replicaCount'"}},
		{"executor", "replicas=-1", "", []string{"at '/replicas'", "minimum"}},
		{"executor", "", `replicas="3"`, []string{"at '/replicas'", "got string, want integer"}},
		{"executor", "runtime=docker", "", []string{"at '/runtime'", "'kubernetes', 'dind'"}},
		{"executor", "image.registry=", "", []string{"at '/image/registry'", "minLength"}},
		{"executor", "image.registry=https://r.example", "", []string{"at '/image/registry'", "does not match pattern"}},
		{"executor", "image.tag=latest", "", []string{"at '/image/tag'", "not"}},
		{"executor", "image.digest=sha256:abc", "", []string{"at '/image/digest'"}},
		{"executor", "frontend.url=f.example", "", []string{"at '/frontend/url'", "does not match pattern"}},
		{"executor", "frontend.url=https://user:secret@f.example", "", []string{"at '/frontend/url'"}},
		{"executor", "token.value=too-short", "", []string{"at '/token'"}},
		{"executor", "token.existingSecret=", "", []string{"at '/token/existingSecret'", "at '/token/value'", "minLength: got 0, want 20"}},
		{"executor", "token.value=0123456789abcdef0123", "", []string{"at '/token'", "oneOf"}},
		{"executor", "", `queues=[]`, []string{"at '/queues'", "minItems"}},
		{"executor", "", `queues=["Batches"]`, []string{"at '/queues/0'"}},
		{"executor", "", `queues=["q","q"]`, []string{"at '/queues'", "equal"}},
		{"executor", "maximumJobs=0", "", []string{"at '/maximumJobs'"}},
		{"executor", "drain.timeoutSeconds=0", "", []string{"at '/drain/timeoutSeconds'"}},
		{"executor", "drain.timeout=30m", "", []string{"at '/drain'", "'timeout'"}},
		{"executor", "jobs.volume.type=hostPath", "", []string{"at '/jobs/volume/type'", "'emptyDir', 'pvc'"}},
		{"executor", "jobs.volume.size=5GB", "", []string{"at '/jobs/volume/size'"}},
		{"executor", "jobs.resources.limits.memory=12GB", "", []string{"at '/jobs/resources/limits/memory'"}},
		{"executor", "jobs.resources.limits.gpu=1", "", []string{"at '/jobs/resources/limits'", "'gpu'"}},
		{"executor", "jobs.namespace=Jobs", "", []string{"at '/jobs/namespace'"}},
		{"executor", "", `jobs.tolerations=["key"]`, []string{"at '/jobs/tolerations/0'", "want object"}},
		{"executor", "dind.daemon=root", "", []string{"at '/dind/daemon'", "'privileged', 'rootless'"}},
		{"executor", "dind.jobMemory=12Gi", "", []string{"at '/dind/jobMemory'"}},
		{"executor", "", `dind.args=["--host=tcp://0.0.0.0:2375"]`, []string{"at '/dind/args/0'"}},
		{"executor", "settings.EXECUTOR_FRONTEND_PASSWORD=secret", "", []string{"at '/settings/EXECUTOR_FRONTEND_PASSWORD'"}},
		{"executor", "", `settings.EXECUTOR_MAXIMUM_NUM_JOBS="8"`, []string{"at '/settings/EXECUTOR_MAXIMUM_NUM_JOBS'"}},
		{"executor", "settings.LD_PRELOAD=x", "", []string{"at '/settings'", "LD_PRELOAD"}},
		{"executor", "", `settings.EXECUTOR_KEEP_WORKSPACES=true`, []string{"at '/settings/EXECUTOR_KEEP_WORKSPACES'", "want string"}},
		{"executor", "podDisruptionBudget.maxUnavailable=0", "", []string{"at '/podDisruptionBudget/maxUnavailable'"}},
		{"executor", "autoscaling.enabled=true", "", []string{"at '/autoscaling/prometheusAddress'"}},
		{"executor", "networkPolicy.executors.enabled=true", "", []string{"at '/networkPolicy/executors/frontend'", "at '/networkPolicy/executors/apiServer'"}},
		{"executor", "", `networkPolicy.jobs.deny=["10.0.0.1"]`, []string{"at '/networkPolicy/jobs/deny/0'"}},
		{"executor", "", `resources={"requests":null}`, []string{"at '/resources'", "'requests'"}},
		{"frontend", "replicas=2", "", []string{"at '/replicas'", "maximum"}},
		{"frontend", "database.type=mysql", "", []string{"at '/database/type'", "'sqlite', 'postgresql'"}},
		{"frontend", "database.type=postgresql", "", []string{"at '/database/url/existingSecret'", "at '/apiToken/existingSecret'"}},
		{"frontend", "database.url.existingSecret=s", "", []string{"at '/database/url/existingSecret'"}},
		{"frontend", "executorToken.value=0123456789abcdef 123,executorToken.existingSecret=", "", []string{"at '/executorToken/value'"}},
		{"frontend", "ingress.enabled=true", "", []string{"at '/ingress/host'"}},
		{"frontend", "settings.FRONTEND_DATABASE_URL=sqlite:x", "", []string{"at '/settings/FRONTEND_DATABASE_URL'"}},
		{"frontend", "service.port=0", "", []string{"at '/service/port'"}},
		{"frontend", "networkPolicy.enabled=true", "", []string{"at '/networkPolicy/from'"}},
	} {
		t.Run(test.chart+"/"+test.set+test.json, func(t *testing.T) {
			t.Parallel()
			_, err := Render(test.chart, set(t, test.chart, test.set, test.json), testNamespace)
			require.Error(t, err)
			for _, part := range test.wanted {
				require.ErrorContains(t, err, part)
			}
		})
	}
}
