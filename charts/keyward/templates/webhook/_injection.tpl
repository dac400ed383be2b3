{{/* What the webhook and the policy must agree on: whose pods, and what a reference looks like. */}}

{{- define "keyward.injectedNamespaces" -}}
matchExpressions:
  - {key: azure-key-vault-env-injection, operator: In, values: [enabled]}
  # Nothing that the cluster or Keyward itself needs may wait for the webhook, whatever somebody labels.
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{ concat (list "kube-system" .Release.Namespace) .Values.webhook.exemptNamespaces | uniq | toJson }}
{{- end }}

{{- define "keyward.injectedPods" -}}
{{- if eq .Values.webhook.optOut "allow" -}}
matchExpressions:
  - {key: keyward.dev/inject, operator: NotIn, values: [disabled]}
{{- else -}}
{}
{{- end }}
{{- end }}

{{/* CEL: whether the variable `e` holds a reference, or what ends like one, as Reference::parse in proto/types reads it. */}}
{{- define "keyward.holdsReference" -}}
has(e.value) && e.value.contains('@azurekeyvault')
&& [e.value.split('@azurekeyvault', 2)[1]].exists(rest, rest.startsWith('?') || rest.trim() == '')
{{- end }}

{{/* CEL: `CONTAINER: VARIABLE, …` for each container of a list (called with the list's expression) that holds references. */}}
{{- define "keyward.literals" -}}
{{ . }}.map(c,
c.?env.orValue([]).exists(e, {{ include "keyward.holdsReference" . }}),
c.name + ': ' + c.env.filter(e, {{ include "keyward.holdsReference" . }}).map(e, e.name).join(', '))
{{- end }}
