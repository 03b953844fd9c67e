{{- /* The frontend's environment. */ -}}
{{- define "frontend.env" -}}
- name: FRONTEND_LISTEN_ADDR
  value: ":7080"
# Below the volume's top, which isn't the frontend's own.
- name: FRONTEND_DATA_DIR
  value: /var/lib/open-executor/data
- name: FRONTEND_EXECUTOR_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "frontend.tokenSecret" . }}
      key: {{ .Values.executorToken.key }}
{{- with .Values.apiToken }}
{{- if .existingSecret }}
- name: FRONTEND_API_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- if eq .Values.database.type "postgresql" }}
- name: FRONTEND_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.url.existingSecret }}
      key: {{ .Values.database.url.key }}
{{- end }}
{{- with .Values.repositories }}
{{- if .existingSecret }}
- name: FRONTEND_REPOSITORIES
  value: /etc/open-executor/repositories/{{ .key }}
{{- end }}
{{- if .existingClaim }}
- name: FRONTEND_REPOS_DIR
  value: /srv/repositories
{{- end }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
