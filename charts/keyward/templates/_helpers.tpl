{{/* Names, labels and images. `component` is broker, controller, webhook, emulator or test; call with
(dict "root" $ "component" "broker"). What pods have in common is in _pods.tpl. */}}

{{/* Of objects without a namespace: two releases do not share one. */}}
{{- define "keyward.clusterName" -}}
keyward-{{ .component }}{{ if ne .root.Release.Namespace "keyward" }}-{{ .root.Release.Namespace }}{{ end }}
{{- end }}

{{/* By which Services, Deployments and policies find pods: it never changes. */}}
{{- define "keyward.selectorLabels" -}}
app.kubernetes.io/name: keyward
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "keyward.labels" -}}
{{ include "keyward.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* The image of `name`, unless `image` says another. */}}
{{- define "keyward.image" -}}
{{- $images := .root.Values.images -}}
{{- if .image }}
{{- .image }}
{{- else if $images.registry }}
{{- printf "%s/keyward-%s:%s" (trimSuffix "/" $images.registry) .name (default .root.Chart.AppVersion $images.tag) }}
{{- else }}
{{- fail "images.registry is missing: nobody publishes Keyward's images. Build them, push them to a registry of yours (docs/images.md), and give --set images.registry=REGISTRY" }}
{{- end }}
{{- end }}

{{/* Where the broker is called, by programs and by pods. */}}
{{- define "keyward.brokerUrl" -}}
https://keyward-broker.{{ .Release.Namespace }}.svc:8443
{{- end }}

{{/* The names of a Service that certificates are for, as a JSON list; called with (dict "root" $ "service" NAME). */}}
{{- define "keyward.dnsNames" -}}
{{- $short := printf "%s.%s" .service .root.Release.Namespace -}}
{{- list .service $short (print $short ".svc") (printf "%s.svc.%s" $short .root.Values.clusterDomain) | toJson }}
{{- end }}

{{- define "keyward.subjects" -}}
- kind: ServiceAccount
  name: {{ (index .root.Values .component).serviceAccount.name }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* With `annotations`, those that come of other values. */}}
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
  {{- with merge (dict) $account.annotations (default dict .annotations) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
# Pods ask for their token where they need it.
automountServiceAccountToken: false
{{- end }}
{{- end }}
