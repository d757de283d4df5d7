{{/* Name of the chart, as a label. */}}
{{- define "model-rollback-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of every object: the release's name, and the chart's unless the release is called like it. */}}
{{- define "model-rollback-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "model-rollback-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels that never change: a Deployment's selector is immutable. */}}
{{- define "model-rollback-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "model-rollback-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "model-rollback-operator.labels" -}}
{{ include "model-rollback-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of the ServiceAccount that the operator runs as. */}}
{{- define "model-rollback-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "model-rollback-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The image's reference; a digest wins over a tag. */}}
{{- define "model-rollback-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The operator's own configuration file; `python -m model_rollback --config FILE` reads it. */}}
{{- define "model-rollback-operator.config" -}}
metricsSources:
  {{- toYaml .Values.metricsSources | nindent 2 }}
probes:
  {{- toYaml .Values.probes | nindent 2 }}
namespaces: {{ toJson .Values.watchNamespaces }}
{{- if .Values.targetKinds }}
targetKinds: /etc/model-rollback-target-kinds
{{- end }}
log:
  {{- toYaml .Values.log | nindent 2 }}
http:
  {{- toYaml .Values.http | nindent 2 }}
leaderElection:
  enabled: {{ .Values.leaderElection.enabled }}
  namespace: {{ .Release.Namespace }}
  name: {{ include "model-rollback-operator.fullname" . }}
{{- end }}
