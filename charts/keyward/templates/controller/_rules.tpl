{{/* What the controller does in a namespace that it looks after: rules of a ClusterRole, or of a Role in each of
controller.namespaces. */}}
{{- define "keyward.controllerRules" -}}
# What is to be written.
- apiGroups: [spv.no]
  resources: [azurekeyvaultsecrets]
  verbs: [get, list, watch]
# What became of it. The status alone: the controller cannot ask for another object.
- apiGroups: [spv.no]
  resources: [azurekeyvaultsecrets/status]
  verbs: [patch]
# What is written goes with the AzureKeyVaultSecret that owns it. Where the API server checks owner references
# (OwnerReferencesPermissionEnforcement, as OpenShift does), an owner whose deletion waits for that needs this right.
- apiGroups: [spv.no]
  resources: [azurekeyvaultsecrets/finalizers]
  verbs: [update]
# The outputs: written, repaired when somebody changes them, and removed when nothing asks for them any more.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get, list, watch, create, patch, delete]
# One event for each change of state.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.controller.restartOnChange }}
# Workloads that ask to be rolled when what they use has changed.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, watch, patch]
{{- end }}
{{- end }}
