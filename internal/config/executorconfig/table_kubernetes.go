package executorconfig

import "github.com/open-executor/executor/internal/config"

// kubernetesVariables say where and with what pods run.
var kubernetesVariables = config.InSection("Kubernetes: pods",
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_CONFIG_PATH", Kind: config.Optional, DefaultText: "`$HOME/.kube/config`", Users: kubernetes,
		Description: "The kubeconfig file. When it can't be loaded, the pod's own service account is used.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_NODE_NAME", Kind: config.Optional, Users: kubernetes,
		Description: "The one node on which all pods run (`spec.nodeName`). Empty: the scheduler chooses.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_NODE_SELECTOR", Kind: config.List, Users: kubernetes,
		Description: "Labels that a node must have: `disktype=ssd,zone=a`.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_EXPRESSIONS", Kind: config.JSON, Users: kubernetes,
		Description: "Required node affinity by labels: `[{\"key\":\"disktype\",\"operator\":\"In\",\"values\":[\"ssd\"]}]`.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_NODE_REQUIRED_AFFINITY_MATCH_FIELDS", Kind: config.JSON, Users: kubernetes,
		Description: "Required node affinity by fields: `[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"node-1\"]}]`.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_POD_AFFINITY", Kind: config.JSON, Users: kubernetes,
		Description: "Required pod affinity: `[{\"labelSelector\":{\"matchLabels\":{\"app\":\"cache\"}},\"topologyKey\":\"kubernetes.io/hostname\"}]`. Each term needs a `topologyKey`.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_POD_ANTI_AFFINITY", Kind: config.JSON, Users: kubernetes,
		Description: "Required pod anti-affinity, in the form of `EXECUTOR_KUBERNETES_POD_AFFINITY`.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_NODE_TOLERATIONS", Kind: config.JSON, Users: kubernetes,
		Description: "Taints that pods tolerate: `[{\"key\":\"dedicated\",\"operator\":\"Equal\",\"value\":\"jobs\",\"effect\":\"NoSchedule\"}]`.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_NAMESPACE", Kind: config.String, Default: "default", Users: kubernetes,
		Description: "Namespace of everything that is made for jobs.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_CPU", Kind: config.Quantity, Users: kubernetes,
		Description: "CPU limit of each container, such as `2` or `500m`. Empty or 0: none.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", Kind: config.Quantity, Default: "12Gi", Users: kubernetes,
		Description: "Memory limit of each container. Empty or 0: none.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_CPU", Kind: config.Quantity, Users: kubernetes,
		Description: "CPU request of each container. Empty or 0: none.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_RESOURCE_REQUEST_MEMORY", Kind: config.Quantity, Default: "12Gi", Users: kubernetes,
		Description: "Memory request of each container. Empty or 0: none.",
	},
	config.Variable{
		Name: "KUBERNETES_IMAGE_PULL_SECRETS", Kind: config.List, Users: kubernetes,
		Description: "Names of secrets with credentials for private registries.",
	},
)

// kubernetesJobVariables say how a job becomes pods.
var kubernetesJobVariables = config.InSection("Kubernetes: jobs",
	config.Variable{
		Name: "KUBERNETES_SINGLE_JOB_POD", Kind: config.Bool, Default: "true", Users: kubernetes,
		Description: "Runs all steps of a job as containers of one pod. This is the default, as in Sourcegraph's executor since mid-2024; older ones had `false`: one pod for each step, with the workspace on a persistent volume. Ours is a claim of the default storage class, of `KUBERNETES_JOB_VOLUME_SIZE` and for one job alone (docs/kubernetes.md).",
	},
	config.Variable{
		Name: "KUBERNETES_JOB_DEADLINE", Kind: config.Int, Default: "1200", Users: kubernetes,
		Description: "Seconds after which Kubernetes ends a pod (`activeDeadlineSeconds`). At least 1.",
	},
	config.Variable{
		Name: "KUBERNETES_KEEP_JOBS", Kind: config.Bool, Default: "false", Users: kubernetes,
		Description: "Leaves the Kubernetes jobs, with their secrets and volumes, in place, for debugging.",
	},
	config.Variable{
		Name: "KUBERNETES_JOB_ANNOTATIONS", Kind: config.JSON, Users: kubernetes,
		Description: "Annotations of each Kubernetes job: `{\"team\":\"builds\"}`.",
	},
	config.Variable{
		Name: "KUBERNETES_JOB_POD_ANNOTATIONS", Kind: config.JSON, Users: kubernetes,
		Description: "Annotations of each pod.",
	},
	config.Variable{
		Name: "KUBERNETES_JOB_VOLUME_TYPE", Kind: config.String, Default: "emptyDir", Users: singlePod,
		Description: "Volume of the workspace: `emptyDir`, on the node's disk, or `pvc`, a volume claim of its own for each job.",
	},
	config.Variable{
		Name: "KUBERNETES_JOB_VOLUME_SIZE", Kind: config.Quantity, Default: "5Gi", Users: singlePod,
		Description: "Size of that volume; above 0. A job that writes more to an `emptyDir` is evicted.",
	},
	config.Variable{
		Name: "KUBERNETES_ADDITIONAL_JOB_VOLUMES", Kind: config.JSON, Users: singlePod,
		Description: "More volumes for the pod, as in a pod's `volumes`: `[{\"name\":\"cache\",\"emptyDir\":{}}]`.",
	},
	config.Variable{
		Name: "KUBERNETES_ADDITIONAL_JOB_VOLUME_MOUNTS", Kind: config.JSON, Users: singlePod,
		Description: "Where each container has them, as in a container's `volumeMounts`: `[{\"name\":\"cache\",\"mountPath\":\"/cache\"}]`.",
	},
	config.Variable{
		Name: "KUBERNETES_SINGLE_JOB_STEP_IMAGE", Kind: config.String, DefaultText: "`sourcegraph/executor-kubernetes:<version>`, `:insiders` for development builds", Users: singlePod,
		Description: "Image of the containers that start a job's pod and keep its workspace and output, with podagent, and src for src steps: the one that is released together with the executor. Images of other executors, such as batcheshelper, have no podagent.",
	},
	config.Variable{
		Name: "KUBERNETES_GIT_CA_CERT", Kind: config.Optional, Users: singlePod,
		Description: "Without effect, and accepted for manifests that set it: the executor clones, with the certificate authorities of its own container.",
	},
	config.Variable{
		Name: "EXECUTOR_KUBERNETES_PERSISTENCE_VOLUME_NAME", Kind: config.String, Default: "sg-executor-pvc", Users: podPerStep,
		Description: "Volume claim with the workspaces, mounted at `/data` in the executor's pod.",
	},
	config.Variable{
		Name: "KUBERNETES_RUN_AS_USER", Kind: config.Int, Default: "-1", Users: kubernetes,
		Description: "User id of the containers. 0 or less: 1000, since jobs keep to the Pod Security Standard `restricted`.",
	},
	config.Variable{
		Name: "KUBERNETES_RUN_AS_GROUP", Kind: config.Int, Default: "-1", Users: kubernetes,
		Description: "Group id of the containers. 0 or less: the number of the user.",
	},
	config.Variable{
		Name: "KUBERNETES_FS_GROUP", Kind: config.Int, Default: "1000", Users: kubernetes,
		Description: "Group id that owns the volumes.",
	},
)
