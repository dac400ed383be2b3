{{/* The controller's settings as variables. */}}
{{- define "keyward.controllerEnv" -}}
{{- $controller := .Values.controller -}}
KEYWARD_BROKER: {{ include "keyward.brokerUrl" . }}
KEYWARD_LEASE_NAMESPACE: {{ .Release.Namespace | quote }}
KEYWARD_LEASE_NAME: {{ $controller.leaseName | quote }}
KEYWARD_LEASE_DURATION: {{ $controller.leaseDuration | quote }}
KEYWARD_IDENTITY: {fieldRef: {fieldPath: metadata.name}}
{{- with $controller.namespaces }}
KEYWARD_WATCH_NAMESPACE: {{ join "," . | quote }}
{{- end }}
{{- with $controller.selector }}
KEYWARD_SELECTOR: {{ quote . }}
{{- end }}
{{- with $controller.copyLabels }}
KEYWARD_COPY_LABELS: {{ join "," . | quote }}
{{- end }}
{{- with $controller.copyAnnotations }}
KEYWARD_COPY_ANNOTATIONS: {{ join "," . | quote }}
{{- end }}
KEYWARD_RESTART_ON_CHANGE: {{ $controller.restartOnChange | quote }}
KEYWARD_RESTART_WINDOW: {{ $controller.restartWindow | quote }}
KEYWARD_PUBLISH_CA: {{ $controller.publishCa | quote }}
KEYWARD_DRAIN: {{ int64 $controller.drainSeconds }}s
KEYWARD_LOG_FORMAT: {{ $controller.log.format }}
KEYWARD_LOG_LEVEL: {{ $controller.log.level | quote }}
{{ include (ternary "keyward.issuerEnv" "keyward.holderEnv" (eq .Values.certificates.provider "keyward")) . }}
{{- end }}

{{/* It issues certificates, its own among them, which is nowhere but in its memory. */}}
{{- define "keyward.issuerEnv" -}}
{{- $certificates := .Values.certificates -}}
KEYWARD_ISSUE_CERTIFICATES: "true"
KEYWARD_TRUST_DOMAIN: {{ $certificates.trustDomain | quote }}
KEYWARD_CA_LIFETIME: {{ $certificates.caLifetime | quote }}
KEYWARD_LEAF_LIFETIME: {{ $certificates.leafLifetime | quote }}
KEYWARD_CA_OVERLAP: {{ $certificates.overlap | quote }}
KEYWARD_BROKER_DNS_NAME: {{ include "keyward.dnsNames" (dict "root" $ "service" "keyward-broker") | fromJsonArray | join "," }}
{{- if .Values.webhook.enabled }}
KEYWARD_WEBHOOK_DNS_NAME: {{ include "keyward.dnsNames" (dict "root" $ "service" .Values.webhook.service.name) | fromJsonArray | join "," }}
KEYWARD_WEBHOOK_CONFIGURATION: {{ include "keyward.clusterName" (dict "root" $ "component" "webhook") }}
{{- end }}
{{- end }}

{{/* Somebody else issues them. */}}
{{- define "keyward.holderEnv" -}}
KEYWARD_TLS_DIR: /etc/keyward/tls
{{- end }}
