{{- define "sluice.name" -}}
{{- if contains "sluice" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-sluice" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sluice.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- /* The labels by which pods are found. They never change. */ -}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sluice.metadata" -}}
name: {{ include "sluice.name" .root }}-{{ .suffix | default .component }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "sluice.labels" . | nindent 2 }}
{{- end }}

{{- define "sluice.secretName" -}}
{{ .Values.secrets.existingSecret | default (printf "%s-secrets" (include "sluice.name" .)) }}
{{- end }}

{{- /* The keys of the Secret that a process reads, as a JSON list. */ -}}
{{- define "sluice.keys" -}}
{{- $keys := .root.Values.secrets.keys }}
{{- if not .root.Values.secrets.existingSecret }}{{ $keys = keys .root.Values.secrets.values | sortAlpha }}{{ end }}
{{- $patterns := dict
  "ingest" "^(DATABASE_URL|REDIS_URL|IDWISE_.+_CREDENTIALS|ALERTS|OTEL_.+)$"
  "worker" "^(DATABASE_URL|REDIS_URL|ALERTS.*|OTEL_.+)$"
  "scheduler" "^(DATABASE_URL|REDIS_URL|ALERTS.*)$"
  "console" "^(DATABASE_URL|DATABASE_REPLICA_URL|REDIS_URL|CONSOLE_.+)$"
  "migrate" "^DATABASE_URL$" }}
{{- $found := list }}
{{- range $keys }}{{ if regexMatch (get $patterns $.component) . }}{{ $found = append $found . }}{{ end }}{{ end }}
{{- $found | toJson }}
{{- end }}

{{- /* What a process must be restarted for. Credentials are read again while it runs. */ -}}
{{- define "sluice.secretsChecksum" -}}
{{- $values := dict }}
{{- range $key, $value := .Values.secrets.values }}
{{- if not (regexMatch "^(IDWISE_.+|CONSOLE)_CREDENTIALS$" $key) }}{{ $_ := set $values $key $value }}{{ end }}
{{- end }}
{{- $values | toJson | sha256sum }}
{{- end }}
