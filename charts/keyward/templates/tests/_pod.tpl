{{/* What the pods of helm test have in common: called with (dict "root" $ "name" NAME). One that fails stays, so that its log can
be read, until the next helm test. */}}

{{- define "keyward.testMetadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "keyward.labels" (merge (dict "component" "test") .) | nindent 2 }}
annotations:
  helm.sh/hook: test
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
{{- end }}

{{- define "keyward.testPod" -}}
# Right after an installation nobody answers yet: it is tried again for two minutes.
restartPolicy: OnFailure
activeDeadlineSeconds: 120
serviceAccountName: keyward-test
automountServiceAccountToken: false
{{- include "keyward.podSecurity" .root | nindent 0 }}
{{- with include "keyward.imagePullSecrets" .root | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- end }}

{{/* What every injected pod has: a token for the broker alone, and the authority of the broker's certificate. */}}
{{- define "keyward.testIdentity" -}}
- name: identity
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {audience: keyward-broker, expirationSeconds: 600, path: token}
      - configMap: {name: keyward-ca, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
