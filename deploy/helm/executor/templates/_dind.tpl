{{- /* The Docker engine, as a sidecar (an init container that stays): it is up before the executor, and ends after it, so that drained jobs keep theirs. */ -}}
{{- define "executor.dind" -}}
{{- $rootless := eq .Values.dind.daemon "rootless" -}}
- name: dind
  image: {{ include "executor.dindImage" . }}
  imagePullPolicy: {{ .Values.dind.image.pullPolicy }}
  restartPolicy: Always
  # Named in full, so that the image's entrypoint adds no port of TCP. The socket is the only way in.
  args:
    - dockerd
    - --host=unix:///dind/docker.sock
    # Below the volume's top, which isn't the engine's own.
    - --data-root=/docker-data/engine
    {{- if not $rootless }}
    - --group=1000
    {{- end }}
    {{- range .Values.dind.args }}
    - {{ . | quote }}
    {{- end }}
  env:
    - name: DOCKER_HOST
      value: unix:///dind/docker.sock
    - name: DOCKER_TLS_CERTDIR
      value: ""
  startupProbe:
    exec:
      command: [docker, version]
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: 60
  livenessProbe:
    exec:
      command: [docker, version]
    periodSeconds: 30
    timeoutSeconds: 20
    failureThreshold: 6
  resources:
    {{- toYaml .Values.dind.resources | nindent 4 }}
  # No engine makes containers without it, rootless or not.
  securityContext:
    privileged: true
    {{- if not $rootless }}
    runAsNonRoot: false
    runAsUser: 0
    runAsGroup: 0
    {{- end }}
  volumeMounts:
    - name: docker-socket
      mountPath: /dind
    - name: docker-data
      mountPath: /docker-data
    # At the same path as in the executor: containers of jobs have it mounted.
    - name: workspaces
      mountPath: /var/lib/executor/workspaces
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
