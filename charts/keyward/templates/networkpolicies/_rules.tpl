{{/* What several NetworkPolicies share. To Kubernetes an empty list of peers means everybody, so a rule whose list is empty
is left out as a whole. */}}

{{/* Call with (dict "root" $ "component" "broker"). Nothing is allowed that the rules after it do not list. */}}
{{- define "keyward.network.head" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: keyward-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "keyward.labels" . | nindent 4 }}
spec:
  podSelector:
    {{- include "keyward.network.pods" (dict "root" .root "components" (list .component)) | nindent 4 }}
  policyTypes: [Ingress, Egress]
{{- end }}

{{/* The release's own pods of some components. */}}
{{- define "keyward.network.pods" -}}
matchLabels:
  app.kubernetes.io/name: keyward
  app.kubernetes.io/instance: {{ .root.Release.Name }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{/* The ports that are listed. */}}
{{- define "keyward.network.ports" -}}
{{- range $index, $port := . }}
{{- if $index }}
{{ end -}}
- {protocol: TCP, port: {{ $port }}}
{{- end }}
{{- end }}

{{/* Addresses as peers. */}}
{{- define "keyward.network.blocks" -}}
{{- range $index, $cidr := . }}
{{- if $index }}
{{ end -}}
- ipBlock: {cidr: {{ quote $cidr }}}
{{- end }}
{{- end }}

{{- define "keyward.network.fromPrometheus" -}}
{{- with .Values.networkPolicy.prometheus -}}
# Prometheus scrapes /metrics. What a kubelet asks the pods of its own node, no policy concerns.
- ports: [{protocol: TCP, port: 8080}]
  from:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "keyward.network.toDns" -}}
{{- with .Values.networkPolicy.dns }}
{{- if or .peers .cidrs -}}
# Names are looked up.
- ports:
    {{- range .ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  to:
    {{- with .peers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .cidrs }}
    {{- include "keyward.network.blocks" . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "keyward.network.toApiServer" -}}
{{- with .Values.networkPolicy.apiServer -}}
# The API server{{ if not .cidrs }}, whose address no chart can know: these ports of everybody{{ end }}.
- ports:
    {{- include "keyward.network.ports" .ports | nindent 4 }}
  {{- with .cidrs }}
  to:
    {{- include "keyward.network.blocks" . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "keyward.network.toBroker" -}}
# The broker.
- ports: [{protocol: TCP, port: 8443}]
  to:
    - podSelector:
        {{- include "keyward.network.pods" (dict "root" $ "components" (list "broker")) | nindent 8 }}
{{- end }}

{{- define "keyward.network.toImds" -}}
# A managed identity's tokens.
- ports: [{protocol: TCP, port: 80}]
  to:
    - ipBlock: {cidr: 169.254.169.254/32}
{{- end }}

{{/* `true` where an identity of the broker is, or may be, a managed one. */}}
{{- define "keyward.network.managed" -}}
{{- $managed := or .Values.networkPolicy.imds (has .Values.broker.azure.identity (list "managed" "azure-json")) -}}
{{- range .Values.vaults }}
{{- $managed = or $managed (eq (dig "identity" "type" "" .spec) "ManagedIdentity") -}}
{{- end }}
{{- if $managed }}true{{ end }}
{{- end }}

{{/* Ports of the emulated vaults and Entra, as the emulator's Service has them. */}}
{{- define "keyward.network.emulatorPorts" -}}
{{- range $index, $_ := include "keyward.emulatedVaults" . | fromJson | keys }}
- {protocol: TCP, port: {{ add 9443 $index }}}
{{- end }}
- {protocol: TCP, port: 9400}
{{- end }}
