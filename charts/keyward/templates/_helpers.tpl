{{/* Names and labels, and nothing else. `component` is broker or controller; call with (dict "root" $ "component" "broker"). */}}

{{/* Of objects without a namespace: two releases do not share one. */}}
{{- define "keyward.clusterName" -}}
keyward-{{ .component }}{{ if ne .root.Release.Namespace "keyward" }}-{{ .root.Release.Namespace }}{{ end }}
{{- end }}

{{- define "keyward.labels" -}}
app.kubernetes.io/name: keyward
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "keyward.subjects" -}}
- kind: ServiceAccount
  name: {{ (index .root.Values .component).serviceAccount.name }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}

{{- define "keyward.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $account.name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "keyward.labels" . | nindent 4 }}
    {{- with $account.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# Pods ask for their token where they need it.
automountServiceAccountToken: false
{{- end }}
{{- end }}
