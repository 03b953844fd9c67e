{{- /* The executor's environment. */ -}}
{{- define "executor.env" -}}
- name: EXECUTOR_FRONTEND_URL
  value: {{ .Values.frontend.url | quote }}
- name: EXECUTOR_FRONTEND_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "executor.tokenSecret" . }}
      key: {{ .Values.token.key }}
{{- if eq (len .Values.queues) 1 }}
- name: EXECUTOR_QUEUE_NAME
  value: {{ index .Values.queues 0 | quote }}
{{- else }}
- name: EXECUTOR_QUEUE_NAMES
  value: {{ join "," .Values.queues | quote }}
{{- end }}
- name: EXECUTOR_MAXIMUM_NUM_JOBS
  value: {{ .Values.maximumJobs | int64 | quote }}
- name: EXECUTOR_MAXIMUM_RUNTIME_PER_JOB
  value: {{ printf "%ds" (int64 .Values.maximumRuntimeSeconds) }}
- name: EXECUTOR_DRAIN_TIMEOUT
  value: {{ printf "%ds" (int64 .Values.drain.timeoutSeconds) }}
- name: EXECUTOR_STOP_GRACE_PERIOD
  value: {{ printf "%ds" (int64 .Values.drain.stopGraceSeconds) }}
- name: EXECUTOR_DEBUG_ADDR
  value: ":6060"
- name: TMPDIR
  value: /var/lib/executor/workspaces
# Below the volume's top: the executor uses only a directory that is its own.
- name: EXECUTOR_STATE_DIR
  value: /var/lib/executor/state/claims
{{- with .Values.registryAuth }}
{{- if .existingSecret }}
- name: EXECUTOR_DOCKER_AUTH_CONFIG
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- if eq .Values.runtime "dind" }}
{{ include "executor.dindEnv" . }}
{{- else }}
{{ include "executor.podsEnv" . }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "executor.podsEnv" -}}
- name: EXECUTOR_RUNTIME
  value: kubernetes
- name: EXECUTOR_KUBERNETES_NAMESPACE
{{- if .Values.jobs.namespace }}
  value: {{ .Values.jobs.namespace }}
{{- else }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}
{{- with .Values.jobs }}
- name: KUBERNETES_SINGLE_JOB_STEP_IMAGE
  value: {{ default (include "executor.image" $) .helperImage | quote }}
- name: KUBERNETES_JOB_DEADLINE
  value: {{ ternary (add $.Values.maximumRuntimeSeconds 900) (int64 .deadlineSeconds) (kindIs "invalid" .deadlineSeconds) | quote }}
{{- if .podPerStep }}
- name: KUBERNETES_SINGLE_JOB_POD
  value: "false"
{{- end }}
- name: KUBERNETES_JOB_VOLUME_TYPE
  value: {{ .volume.type }}
- name: KUBERNETES_JOB_VOLUME_SIZE
  value: {{ .volume.size | quote }}
{{- range $what := list "request" "limit" }}
{{- range $kind := list "cpu" "memory" }}
- name: EXECUTOR_KUBERNETES_RESOURCE_{{ upper $what }}_{{ upper $kind }}
  value: {{ get (get $.Values.jobs.resources (printf "%ss" $what)) $kind | toString | quote }}
{{- end }}
{{- end }}
{{- with .imagePullSecrets }}
- name: KUBERNETES_IMAGE_PULL_SECRETS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .nodeSelector }}
- name: EXECUTOR_KUBERNETES_NODE_SELECTOR
  value: {{ $labels := list }}{{ range $key, $value := . }}{{ $labels = append $labels (printf "%s=%s" $key $value) }}{{ end }}{{ join "," $labels | quote }}
{{- end }}
{{- with .tolerations }}
- name: EXECUTOR_KUBERNETES_NODE_TOLERATIONS
  value: {{ toJson . | quote }}
{{- end }}
{{- with .annotations }}
- name: KUBERNETES_JOB_ANNOTATIONS
  value: {{ toJson . | quote }}
{{- end }}
{{- with .podAnnotations }}
- name: KUBERNETES_JOB_POD_ANNOTATIONS
  value: {{ toJson . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "executor.dindEnv" -}}
- name: EXECUTOR_RUNTIME
  value: docker
- name: DOCKER_HOST
  value: unix:///dind/docker.sock
# Rootless, dockerd has no control groups to hold a container's limits.
- name: EXECUTOR_JOB_NUM_CPUS
  value: {{ ternary 0 (int64 .Values.dind.jobCPUs) (eq .Values.dind.daemon "rootless") | quote }}
- name: EXECUTOR_JOB_MEMORY
  value: {{ ternary "0" .Values.dind.jobMemory (eq .Values.dind.daemon "rootless") | quote }}
{{- end -}}
