{{/* The name of all objects of a release. */}}
{{- define "grok.name" -}}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) }}
{{- $name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* What selects the pods of a release. */}}
{{- define "grok.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "grok.labels" -}}
{{ include "grok.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "grok.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Refuses values with which a pod would not start, or would serve wrongly, in words. */}}
{{- define "grok.check" -}}
{{- $v := .Values }}
{{- $several := or (gt (int $v.replicas) 1) $v.autoscaling.enabled }}
{{- if not $v.publicUrl }}{{ fail "publicUrl: the address of this server as its clients see it, as in https://grok.example.org/mcp" }}{{ end }}
{{- if not $v.secret }}{{ fail "secret: the name of the Secret that holds the key and the tokens (docs/kubernetes.md)" }}{{ end }}
{{- if and $several (not $v.redis.enabled) }}{{ fail "replicas: several pods share conversations in Redis: switch redis on, or run one" }}{{ end }}
{{- if and $v.metrics.serviceMonitor.enabled (not $v.metrics.enabled) }}{{ fail "metrics.serviceMonitor: there is nothing to scrape while metrics.enabled is false" }}{{ end }}
{{- if gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas) }}{{ fail "autoscaling: minReplicas is more than maxReplicas" }}{{ end }}
{{- end }}
