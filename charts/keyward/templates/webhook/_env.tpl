{{/* The webhook's settings as variables. */}}
{{- define "keyward.webhookEnv" -}}
{{- $webhook := .Values.webhook -}}
KEYWARD_BROKER: {{ include "keyward.brokerUrl" . }}
KEYWARD_TLS_DIR: /etc/keyward/tls
KEYWARD_LAUNCHER_IMAGE: {{ include "keyward.image" (dict "root" $ "name" "launcher" "image" .Values.launcher.image) | quote }}
KEYWARD_LAUNCHER_IMAGE_PULL_POLICY: {{ .Values.images.pullPolicy }}
KEYWARD_COPIER_CPU: {{ .Values.launcher.copierCpu | quote }}
KEYWARD_COPIER_MEMORY: {{ .Values.launcher.copierMemory | quote }}
{{- with .Values.launcher.deadline }}
KEYWARD_LAUNCHER_DEADLINE: {{ quote . }}
{{- end }}
KEYWARD_UNRESOLVED: {{ $webhook.unresolved }}
KEYWARD_OPT_OUT: {{ $webhook.optOut }}
KEYWARD_ACR_IDENTITY: {{ $webhook.acr.identity }}
{{- with $webhook.acr.clientId }}
KEYWARD_ACR_CLIENT_ID: {{ quote . }}
{{- end }}
{{- with $webhook.acr.domains }}
KEYWARD_ACR_DOMAIN: {{ join "," . | quote }}
{{- end }}
{{- with $webhook.defaultArchitecture }}
KEYWARD_DEFAULT_ARCHITECTURE: {{ quote . }}
{{- end }}
{{- with $webhook.plainHttpRegistries }}
KEYWARD_PLAIN_HTTP_REGISTRY: {{ join "," . | quote }}
{{- end }}
{{- if $webhook.registryCaConfigMap }}
KEYWARD_REGISTRY_CA_FILE: /etc/keyward/registry-ca/ca.crt
{{- end }}
KEYWARD_REVIEW_DEADLINE: {{ $webhook.reviewDeadline | quote }}
KEYWARD_DRAIN: {{ int64 $webhook.drainSeconds }}s
KEYWARD_LOG_FORMAT: {{ $webhook.log.format }}
KEYWARD_LOG_LEVEL: {{ $webhook.log.level | quote }}
{{- end }}
