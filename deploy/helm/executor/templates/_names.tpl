{{- define "executor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "executor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "executor.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "executor.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "executor.selector" -}}
app.kubernetes.io/name: {{ include "executor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "executor.labels" -}}
{{ include "executor.selector" . }}
app.kubernetes.io/component: executor
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "executor.serviceAccount" -}}
{{- default (include "executor.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- /* Where jobs' pods are made. */ -}}
{{- define "executor.jobsNamespace" -}}
{{- default .Release.Namespace .Values.jobs.namespace -}}
{{- end -}}

{{- /* metadata.namespace of what belongs to the jobs: a line only where that isn't the release's own. */ -}}
{{- define "executor.jobsMetadata" -}}
{{- if .Values.jobs.namespace }}
namespace: {{ .Values.jobs.namespace }}
{{- end }}
{{- end -}}

{{- define "executor.tokenSecret" -}}
{{- default (printf "%s-token" (include "executor.fullname" .)) .Values.token.existingSecret -}}
{{- end -}}

{{- define "executor.image" -}}
{{- $repository := default (ternary "executor" "executor-kubernetes" (eq .Values.runtime "dind")) .Values.image.repository -}}
{{- $name := printf "%s/%s" .Values.image.registry $repository -}}
{{- if .Values.image.digest }}{{ $name }}@{{ .Values.image.digest }}{{ else }}{{ $name }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end -}}
{{- end -}}

{{- define "executor.dindImage" -}}
{{- with .Values.dind -}}
{{- $name := .image.repository -}}
{{- if .image.registry }}{{ $name = printf "%s/%s" .image.registry $name }}{{ end -}}
{{- $tag := default (ternary "28-dind-rootless" "28-dind" (eq .daemon "rootless")) .image.tag -}}
{{- if .image.digest }}{{ $name }}@{{ .image.digest }}{{ else }}{{ $name }}:{{ $tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* Drain, the steps' own grace, and two minutes to report and remove what was made. */ -}}
{{- define "executor.gracePeriod" -}}
{{- add .Values.drain.timeoutSeconds .Values.drain.stopGraceSeconds 120 -}}
{{- end -}}
