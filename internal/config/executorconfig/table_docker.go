package executorconfig

import "github.com/open-executor/executor/internal/config"

var dockerVariables = config.InSection("Docker",
	config.Variable{
		Name: "EXECUTOR_DOCKER_HOST_MOUNT_PATH", Kind: config.Optional, Users: "docker, shell",
		Description: "For an executor that itself runs in a container: the directory of the workspaces as the Docker host sees it. Empty: the executor and Docker see the same paths.",
	},
	config.Variable{
		Name: "EXECUTOR_DOCKER_ADD_HOST_GATEWAY", Kind: config.Bool, Default: "false", Users: withVM,
		Description: "Lets steps reach the host under the name `host.docker.internal`.",
	},
	config.Variable{
		Name: "EXECUTOR_DOCKER_AUTH_CONFIG", Kind: config.JSON, Secret: true, Users: withVM,
		Description: "Credentials for private registries in the form of a Docker client's configuration: `{\"auths\":{\"registry.example.com\":{\"auth\":\"<base64 of user:password>\"}}}`. Credential helpers don't work here. A job that brings credentials of its own uses only those.",
	},
	config.Variable{
		Name: "EXECUTOR_DOCKER_ADDITIONAL_MOUNTS", Kind: config.Optional, Users: withVM,
		Description: "Mounts for every step, separated by semicolons, each in the syntax of `docker run --mount`: `type=bind,source=/srv/cache,target=/cache,readonly;type=tmpfs,target=/scratch,tmpfs-size=1g`. The type is `volume` unless given. Every job can read what is mounted, and write to it unless it is readonly.",
	},
	config.Variable{
		Name: "EXECUTOR_DOCKER_PIDS_LIMIT", Kind: config.Int, Default: "4096", Users: docker,
		Description: "Most processes and threads that a step may have at a time. 0: no limit.",
	},
)
