{{/* What the Deployments have in common: each file beside shows what is its own. Call with (dict "root" $ "component" "broker"). */}}

{{/* A new pod serves before an old one ends. */}}
{{- define "keyward.rollout" -}}
revisionHistoryLimit: 5
minReadySeconds: 5
strategy:
  type: RollingUpdate
  rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
selector:
  matchLabels:
    {{- include "keyward.selectorLabels" . | nindent 4 }}
{{- end }}

{{/* With `labels` and `annotations`, those that come of other values. */}}
{{- define "keyward.podMetadata" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- include "keyward.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  {{- with merge (dict) $values.podLabels (default dict .labels) }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) $values.podAnnotations (default dict .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Satisfies Pod Security `restricted`, with the next. */}}
{{- define "keyward.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # Mounted Secrets are readable for this group and for nobody else.
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "keyward.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "keyward.imagePullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where pods run. */}}
{{- define "keyward.placement" -}}
{{- $values := index .root.Values .component -}}
{{- include "keyward.imagePullSecrets" .root }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Over nodes and zones, as far as there are any. */}}
{{- define "keyward.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "keyward.selectorLabels" $ | nindent 8 }}
    # Pods of the version that goes do not count.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{/* On the admin port. A program that waits for its certificate, or for the API server, lives and is not ready. */}}
{{- define "keyward.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* Variables: `own`, YAML of names and texts (or of what valueFrom holds), and extraEnv, which goes before them. */}}
{{- define "keyward.env" -}}
{{- $extra := (index .root.Values .component).extraEnv -}}
{{- $taken := dict -}}
{{- range $extra }}{{ $_ := set $taken .name true }}{{ end -}}
env:
  {{- range $name, $value := fromYaml .own }}
  {{- if not (hasKey $taken $name) }}
  - name: {{ $name }}
    {{- if kindIs "map" $value }}
    valueFrom: {{ toJson $value }}
    {{- else }}
    value: {{ quote $value }}
    {{- end }}
  {{- end }}
  {{- end }}
  {{- with $extra }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Longer than what is under way may take, and the 3 seconds in which callers learn that the pod ends. */}}
{{- define "keyward.grace" -}}
terminationGracePeriodSeconds: {{ add (index .root.Values .component).drainSeconds 10 }}
{{- end }}

{{/* A Secret with tls.crt, tls.key and ca.crt. It is not optional: a pod waits for it and says so, and the kubelet looks for a
missing one again within seconds. */}}
{{- define "keyward.tlsVolume" -}}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}

{{/* Nodes are drained one replica after another. */}}
{{- define "keyward.disruptionBudget" -}}
{{- if gt (int (index .root.Values .component).replicas) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: keyward-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "keyward.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that does not work holds nobody up.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "keyward.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}
