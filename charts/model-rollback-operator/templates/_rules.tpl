{{/*
What the operator may do in a namespace that it works in, each rule with the code that needs it.
It may not: create workloads but for its Jobs, delete any, change specs of its own kinds; and, unless
rbac.secrets says so, neither read nor write Secrets.
*/}}
{{- define "model-rollback-operator.rules" -}}
# handlers and engine/store: list and watch the objects of people, read one again before a write
- apiGroups: [modelrollback.dev]
  resources: [modeldeployments, rollbackpolicies, rollbacks]
  verbs: [get, list, watch]
# engine/executor: a breach starts a Rollback; the name makes a second one impossible
# engine/retention: finished Rollbacks beyond the historyLimit of their policy are deleted, oldest first
- apiGroups: [modelrollback.dev]
  resources: [rollbacks]
  verbs: [create, delete]
# adapters/objects: conditions, the lock, recorded versions, steps and results live in status; specs belong to people
- apiGroups: [modelrollback.dev]
  resources: [modeldeployments/status, rollbackpolicies/status, rollbacks/status]
  verbs: [patch]
# adapters/objects: watch the targets; preflight is a dry-run patch, a revert is one JSON Patch
# presets/targets: the kinds that a preset knows; kinds without one come with rbac.extraTargets
- apiGroups: [apps]
  resources: [daemonsets, deployments, statefulsets]
  verbs: [get, list, watch, patch]
# CronJobs: pipelines
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, patch]
# ConfigMaps: configuration in files
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, patch]
# Argo Rollouts
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch, patch]
# Seldon Core 2
- apiGroups: [mlops.seldon.io]
  resources: [models]
  verbs: [get, list, watch, patch]
# KubeRay
- apiGroups: [ray.io]
  resources: [rayservices]
  verbs: [get, list, watch, patch]
# KServe
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices]
  verbs: [get, list, watch, patch]
{{- if .Values.rbac.secrets }}
# engine/revisions: a Secret as a target; its values of each version are kept in a Secret
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, patch, create]
{{- end }}
{{- range .Values.rbac.extraTargets }}
# presets of the user's own, and explicit pins
- apiGroups: [{{ .apiGroup | quote }}]
  resources: {{ toJson .resources }}
  verbs: [get, list, watch, patch]
{{- end }}
# engine/revisions: pod templates of recorded versions are kept in ControllerRevisions, so that a pruned ReplicaSet
# loses nothing. Garbage collection deletes them with their ModelDeployment
# engine/pruning: those that neither a history nor a Rollback names any more are deleted
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, create, delete]
# adapters/probes/services: an http probe goes where the API server says that the Service is
- apiGroups: [""]
  resources: [services]
  verbs: [get]
# engine/recording: the imageIDs of a version's pods say which bits its tags stood for
# adapters/probes/logs: a logs probe finds a component's pods by its selector and reads what they have written
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# adapters/probes/logs: the same
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# engine/probes/job and engine/jobs: a job probe, or a component with `reprocess`, makes a Job and waits for it; garbage
# collection deletes it with its owner. engine/stopping: patch suspends one that nobody waits for any more
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create, patch]
# engine/preflight: what the pods of the version that is put back cannot start without must exist. Where this may not be
# asked, as for Secrets, the plan says so
- apiGroups: [""]
  resources: [persistentvolumeclaims, serviceaccounts]
  verbs: [get]
{{- with .Values.rbac.impersonate }}
# engine/context: write to targets as the account that a ModelDeployment names
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [impersonate]
  resourceNames: {{ toJson . }}
{{- end }}
# adapters/events: one Event per transition, and patch counts it on in its series
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
