//! Pods as JSON, mutated and looked at as JSON: what a patch does is what counts.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::{image::ImageConfig, scan::scan, variables::ConfigMaps};

fn injection() -> Injection {
    Injection {
        broker: "https://keyward-broker.keyward.svc:8443".to_owned(),
        image: "registry.example/keyward-launcher:1".to_owned(),
        pull_policy: "IfNotPresent".to_owned(),
        cpu: "100m".to_owned(),
        memory: "24Mi".to_owned(),
        deadline: None,
        unresolved: Unresolved::Warn,
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn image(entrypoint: &[&str], cmd: &[&str], env: &[&str]) -> Facts {
    let config = ImageConfig { entrypoint: words(entrypoint), cmd: words(cmd), env: words(env) };
    Facts { images: BTreeMap::from([("app:1".to_owned(), Arc::new(config))]), ..Facts::default() }
}

/// The pod afterwards, and the warnings.
fn mutated(pod: &Value, facts: &Facts, injection: &Injection) -> Result<(Value, Vec<String>), Denial> {
    let typed: Pod = serde_json::from_value(pod.clone()).unwrap();
    let spec = typed.spec.as_ref().unwrap();
    let config_maps = ConfigMaps::from([("late".to_owned(), None)]);
    let scanned = scan(&typed, spec, "shop", &config_maps)?;
    let mutation = mutate(spec, &scanned, facts, injection)?;
    let mut changed = pod.clone();
    json_patch::patch(&mut changed, &mutation.patch).unwrap();
    Ok((changed, mutation.warnings))
}

fn pod(containers: &Value) -> Value {
    json!({"metadata": {"generateName": "app-"}, "spec": {"containers": containers, "fieldOfTomorrow": {"kept": true}}})
}

fn app(more: &Value) -> Value {
    let mut container = json!({
        "name": "app",
        "image": "app:1",
        "env": [{"name": "DB", "value": "db@azurekeyvault?user"}, {"name": "ALSO", "value": "api@azurekeyvault"}],
    });
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container
}

fn changed(pod: &Value) -> Value {
    mutated(pod, &Facts::default(), &injection()).unwrap().0
}

fn denied(pod: &Value, facts: &Facts) -> String {
    mutated(pod, facts, &injection()).unwrap_err().to_string()
}

fn variable<'a>(container: &'a Value, name: &str) -> Option<&'a str> {
    let all = container["env"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|variable| variable["name"] == name).collect();
    assert!(found.len() < 2, "{name} is there twice");
    found.first().and_then(|variable| variable["value"].as_str())
}

#[test]
fn a_pod_gets_volumes_copier_command_variables_and_mounts_and_nothing_else() {
    let before = pod(&json!([
        app(&json!({
            "command": ["/app"],
            "args": ["--mode", "$(MODE)"],
            "securityContext": {"runAsUser": 0},
            "newField": 1,
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        })),
        {"name": "plain", "image": "x"},
    ]));
    let after = changed(&before);
    let app = &after["spec"]["containers"][0];
    assert_eq!(app["command"], json!(["/azure-keyvault/keyward-launcher", "exec", "--", "/app"]));
    assert_eq!(app["args"], json!(["--mode", "$(MODE)"]));
    assert_eq!((&app["securityContext"], &app["newField"]), (&json!({"runAsUser": 0}), &json!(1)));
    assert_eq!(
        app["volumeMounts"],
        json!([
            {"name": "data", "mountPath": "/data"},
            {"name": "keyward-launcher", "mountPath": "/azure-keyvault", "subPath": "app", "readOnly": true},
            {"name": "keyward-identity", "mountPath": "/var/run/secrets/keyward.dev", "readOnly": true},
        ])
    );
    assert_eq!(variable(app, "DB"), Some("db@azurekeyvault?user"));
    assert_eq!(variable(app, "KEYWARD_BROKER"), Some("https://keyward-broker.keyward.svc:8443"));
    assert_eq!(variable(app, "KEYWARD_BROKER_IP"), None);
    assert_eq!(variable(app, "KEYWARD_RESTART_POLICY"), Some("Always"));
    assert_eq!(variable(app, "KEYWARD_CONTAINER"), Some("app"));
    assert_eq!(variable(app, "KEYWARD_REFERENCES"), Some("api,db?user"));
    assert_eq!(after["spec"]["containers"][1], before["spec"]["containers"][1]);
    assert_eq!(after["spec"]["fieldOfTomorrow"], json!({"kept": true}));
    assert_eq!(after["metadata"], before["metadata"]);
    assert_eq!(
        after["spec"]["volumes"],
        json!([
            {"name": "keyward-launcher", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            {"name": "keyward-identity", "projected": {"sources": [
                {"serviceAccountToken": {"audience": "keyward-broker", "expirationSeconds": 3600, "path": "token"}},
                {"configMap": {"name": "keyward-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            ]}},
        ])
    );
    assert_eq!(
        after["spec"]["initContainers"],
        json!([{
            "name": "keyward-copier",
            "image": "registry.example/keyward-launcher:1",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/keyward-launcher"],
            "args": ["install", "/azure-keyvault", "app"],
            "resources": {"requests": {"cpu": "100m", "memory": "24Mi"}, "limits": {"cpu": "100m", "memory": "24Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [{"name": "keyward-launcher", "mountPath": "/azure-keyvault"}],
        }])
    );
}

#[test]
fn what_is_started_is_what_the_pod_and_else_the_image_says() {
    let launcher = |words: &[&str]| {
        let all = ["/azure-keyvault/keyward-launcher", "exec", "--"].iter().chain(words);
        json!(all.collect::<Vec<_>>())
    };
    let none = Value::Null;
    for (given, facts, command, args) in [
        (json!({"command": ["/a"]}), Facts::default(), launcher(&["/a"]), none.clone()),
        (json!({"command": ["/a"], "args": ["b"]}), Facts::default(), launcher(&["/a"]), json!(["b"])),
        (json!({}), image(&["/e"], &["c"], &[]), launcher(&["/e"]), json!(["c"])),
        (json!({"args": ["b"]}), image(&["/e"], &["c"], &[]), launcher(&["/e"]), json!(["b"])),
        (json!({"command": [], "args": []}), image(&["/e"], &["c"], &[]), launcher(&["/e"]), json!(["c"])),
        (json!({}), image(&[], &["/c", "d"], &[]), launcher(&[]), json!(["/c", "d"])),
        (json!({"args": ["/b"]}), image(&[], &[], &[]), launcher(&[]), json!(["/b"])),
        (
            json!({}),
            image(&["/e", "$(HOME)"], &["$x", "$$"], &[]),
            launcher(&["/e", "$$(HOME)"]),
            json!(["$$x", "$$$$"]),
        ),
    ] {
        let (after, _) = mutated(&pod(&json!([app(&given)])), &facts, &injection()).unwrap();
        let container = &after["spec"]["containers"][0];
        assert_eq!((&container["command"], &container["args"]), (&command, &args), "{given}");
    }
    for facts in [image(&[], &[], &[]), Facts::default()] {
        let denied = denied(&pod(&json!([app(&json!({}))])), &facts);
        assert!(denied.contains("neither it nor its image app:1 says what to run; set `command`"), "{denied}");
    }
}

#[test]
fn init_containers_and_sidecars_are_injected_and_the_copier_goes_before_them() {
    let mut before = pod(&json!([app(&json!({"command": ["/app"]}))]));
    before["spec"]["initContainers"] = json!([
        {"name": "plain", "image": "x"},
        {"name": "init", "image": "x", "command": ["/i"], "env": [{"name": "A", "value": "a@azurekeyvault"}]},
        {"name": "side", "image": "x", "command": ["/s"], "restartPolicy": "Always", "env": [{"name": "A", "value": "a@azurekeyvault"}]},
    ]);
    before["spec"]["restartPolicy"] = json!("Never");
    let after = changed(&before);
    let init = &after["spec"]["initContainers"];
    let names: Vec<_> = init.as_array().unwrap().iter().map(|container| container["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["keyward-copier", "plain", "init", "side"]);
    assert_eq!(init[0]["args"], json!(["install", "/azure-keyvault", "init", "side", "app"]));
    assert_eq!(init[1], json!({"name": "plain", "image": "x"}));
    let of = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        assert_eq!(variable(container, "KEYWARD_CONTAINER"), container["name"].as_str());
        (variable(container, "KEYWARD_RESTART_POLICY").unwrap().to_owned(), mounts[0]["readOnly"].as_bool().unwrap())
    };
    assert_eq!(of(&init[2]), ("Never".to_owned(), false));
    assert_eq!(of(&init[3]), ("Always".to_owned(), true));
    assert_eq!(of(&after["spec"]["containers"][0]), ("Never".to_owned(), false));
}

#[test]
fn a_pod_that_comes_again_is_left_as_it_is() {
    let mut before = pod(&json!([app(&json!({"command": ["/app"]}))]));
    before["spec"]["initContainers"] = json!([{"name": "init", "image": "x"}]);
    let once = changed(&before);
    assert_eq!(changed(&once), once);
    let typed: Pod = serde_json::from_value(once).unwrap();
    let config_maps = ConfigMaps::new();
    let spec = typed.spec.as_ref().unwrap();
    let scanned = scan(&typed, spec, "shop", &config_maps).unwrap();
    assert_eq!(mutate(spec, &scanned, &Facts::default(), &injection()).unwrap().patch, Patch(Vec::new()));
}

#[test]
fn what_others_did_to_an_injected_pod_is_put_right() {
    let once = changed(&pod(&json!([app(&json!({"command": ["/app"]}))])));
    let mut touched = once.clone();
    touched["spec"]["initContainers"].as_array_mut().unwrap().insert(0, json!({"name": "mesh", "image": "x"}));
    touched["spec"]["containers"].as_array_mut().unwrap().push(
        json!({"name": "late", "image": "x", "command": ["/l"], "env": [{"name": "A", "value": "a@azurekeyvault"}]}),
    );
    let after = changed(&touched);
    let names: Vec<_> =
        after["spec"]["initContainers"].as_array().unwrap().iter().map(|container| &container["name"]).collect();
    assert_eq!(names, ["keyward-copier", "mesh"]);
    assert_eq!(after["spec"]["initContainers"][0]["args"], json!(["install", "/azure-keyvault", "app", "late"]));
    assert_eq!(after["spec"]["containers"][1]["command"][0], "/azure-keyvault/keyward-launcher");
    assert_eq!(after["spec"]["containers"][0], once["spec"]["containers"][0]);
}

#[test]
fn variables_of_ours_that_a_pod_brings_are_replaced_but_for_the_deadline() {
    let env = json!([
        {"name": "A", "value": "a@azurekeyvault"},
        {"name": "KEYWARD_BROKER", "value": "https://elsewhere"},
        {"name": "KEYWARD_DEADLINE", "value": "5s"},
    ]);
    let before = pod(&json!([{"name": "app", "image": "x", "command": ["/a"], "env": env}]));
    let facts = Facts { broker_ip: Some("10.0.0.7".parse().unwrap()), ..Facts::default() };
    let injection = Injection { deadline: Some("30s".to_owned()), ..injection() };
    let (after, _) = mutated(&before, &facts, &injection).unwrap();
    let container = &after["spec"]["containers"][0];
    assert_eq!(variable(container, "KEYWARD_BROKER"), Some("https://keyward-broker.keyward.svc:8443"));
    assert_eq!(variable(container, "KEYWARD_BROKER_IP"), Some("10.0.0.7"));
    assert_eq!(variable(container, "KEYWARD_DEADLINE"), Some("5s"));
}

#[test]
fn a_container_is_called_what_it_is_called_whatever_its_pod_says() {
    let named = |name: &str| json!({"name": "KEYWARD_CONTAINER", "value": name});
    let elsewhere = json!({"name": "KEYWARD_CONTAINER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}});
    for brought in [vec![], vec![named("other")], vec![named("app"), named("other")], vec![elsewhere], vec![named("")]]
    {
        let env: Vec<_> = [json!({"name": "A", "value": "a@azurekeyvault"})].into_iter().chain(brought).collect();
        let before = pod(&json!([{"name": "app", "image": "x", "command": ["/a"], "env": env}]));
        let after = changed(&before);
        let env = after["spec"]["containers"][0]["env"].as_array().unwrap();
        // The kubelet takes the last of a name.
        let last = env.iter().rfind(|variable| variable["name"] == "KEYWARD_CONTAINER").unwrap();
        assert_eq!(*last, named("app"));
        assert_eq!(changed(&after), after);
    }
}

#[test]
fn names_that_a_pod_uses_itself_are_refused() {
    let mut with_volume = pod(&json!([app(&json!({"command": ["/a"]}))]));
    with_volume["spec"]["volumes"] = json!([{"name": "keyward-launcher", "hostPath": {"path": "/"}}]);
    assert!(denied(&with_volume, &Facts::default()).contains("volume keyward-launcher of its own"));
    with_volume["spec"]["volumes"] = json!([{"name": "keyward-identity", "emptyDir": {}}]);
    assert!(denied(&with_volume, &Facts::default()).contains("volume keyward-identity of its own"));
    for path in ["/azure-keyvault", "/azure-keyvault/", "/azure-keyvault/sub", "/var/run/secrets/keyward.dev"] {
        let mounts = json!([{"name": "data", "mountPath": path}]);
        let pod = pod(&json!([app(&json!({"command": ["/a"], "volumeMounts": mounts}))]));
        let denied = denied(&pod, &Facts::default());
        assert!(denied.starts_with(&format!("container app mounts volume data at {path}")), "{denied}");
    }
    let mounts = json!([{"name": "data", "mountPath": "/azure-keyvaults"}]);
    changed(&pod(&json!([app(&json!({"command": ["/a"], "volumeMounts": mounts}))])));
}

#[test]
fn the_copier_runs_as_the_user_of_all_others_unless_it_is_root() {
    for (pod_user, app_user, other_user, expected) in [
        (json!(1000), Value::Null, Value::Null, Value::Null),
        (json!(0), Value::Null, Value::Null, json!(65532)),
        (Value::Null, Value::Null, Value::Null, json!(65532)),
        (Value::Null, json!(1000), json!(1000), json!(1000)),
        (Value::Null, json!(1000), json!(1001), json!(65532)),
        (Value::Null, json!(1000), Value::Null, json!(65532)),
        (json!(1000), json!(1001), json!(1001), json!(1001)),
        (json!(1000), json!(1000), Value::Null, Value::Null),
        (json!(1000), json!(0), json!(0), json!(65532)),
    ] {
        let app = app(&json!({"command": ["/a"], "securityContext": {"runAsUser": app_user}}));
        let mut before = pod(&json!([app, {"name": "other", "securityContext": {"runAsUser": other_user}}]));
        before["spec"]["securityContext"] = json!({"runAsUser": pod_user});
        let after = changed(&before);
        let context = &after["spec"]["initContainers"][0]["securityContext"];
        assert_eq!(context["runAsUser"], expected, "{pod_user} {app_user} {other_user}");
        assert_eq!(after["spec"]["securityContext"], before["spec"]["securityContext"]);
        assert_eq!(changed(&after), after);
    }
}

#[test]
fn references_of_an_image_count_unless_the_pod_says_otherwise() {
    let facts = image(&["/e"], &[], &["TOKEN=token@azurekeyvault", "DB=over@azurekeyvault", "PATH=/bin", "ODD"]);
    let (after, _) = mutated(&pod(&json!([app(&json!({}))])), &facts, &injection()).unwrap();
    assert_eq!(variable(&after["spec"]["containers"][0], "KEYWARD_REFERENCES"), Some("api,db?user,token"));
    assert_eq!(changed(&after), after, "when it comes again, nobody asks its image");
}

#[test]
fn of_several_lists_of_references_the_last_counts_and_only_of_a_wrapped_container() {
    let plain = pod(&json!([app(&json!({"command": ["/app"]}))]));
    let wrapped = changed(&plain);
    for (before, lists, expected) in [
        (&wrapped, &[][..], "api,db?user"),
        (&wrapped, &["token"], "api,db?user,token"),
        (&wrapped, &["old", "token"], "api,db?user,token"),
        (&wrapped, &["token", ""], "api,db?user"),
        (&wrapped, &["old,older", "not a name,token", "db?user,new?key"], "api,db?user,new?key"),
        (&plain, &["token"], "api,db?user"),
        (&plain, &["old", "token"], "api,db?user"),
    ] {
        let mut before = before.clone();
        let env = before["spec"]["containers"][0]["env"].as_array_mut().unwrap();
        env.retain(|variable| variable["name"] != "KEYWARD_REFERENCES");
        env.extend(lists.iter().map(|list| json!({"name": "KEYWARD_REFERENCES", "value": list})));
        let after = changed(&before);
        // The kubelet takes the last of a name.
        let env = after["spec"]["containers"][0]["env"].as_array().unwrap();
        let last = env.iter().rfind(|variable| variable["name"] == "KEYWARD_REFERENCES").unwrap();
        assert_eq!(last["value"], expected, "{lists:?}");
        assert_eq!(changed(&after), after, "{lists:?}");
    }
}

#[test]
fn too_many_references_are_refused() {
    let env: Vec<_> =
        (0..=1_000).map(|n| json!({"name": format!("V{n}"), "value": format!("n{n}@azurekeyvault")})).collect();
    let pod = pod(&json!([{"name": "app", "image": "x", "command": ["/a"], "env": env}]));
    assert_eq!(
        denied(&pod, &Facts::default()),
        "container app has 1001 different references; at most 1000 are resolved"
    );
}

#[test]
fn whoever_creates_the_pod_is_told_what_will_not_work() {
    let reference = |name: &str| Reference::new(name, None).unwrap();
    let facts = Facts {
        verdicts: BTreeMap::from([
            (
                reference("api"),
                Finding::Unresolved("AzureKeyVaultSecret shop/api does not exist; create it".to_owned()),
            ),
            (Reference::new("db", Some("user")).unwrap(), Finding::Known),
        ]),
        ..Facts::default()
    };
    let container = app(&json!({
        "command": ["/a"],
        "envFrom": [{"configMapRef": {"name": "late", "optional": true}}],
        "readinessProbe": {"exec": {"command": ["check", "$DB"]}},
        "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
    }));
    let (_, warnings) = mutated(&pod(&json!([container])), &facts, &injection()).unwrap();
    let expected = [
        "container app: api@azurekeyvault: AzureKeyVaultSecret shop/api does not exist; create it",
        "container app: ConfigMap late lacks what is asked of it; injected in case it brings references, \
         which a broker that binds pods will refuse: create it before the pod",
        "container app: readinessProbe runs a command that sees the references and not the values",
    ];
    assert_eq!(warnings, expected);
    let strict = Injection { unresolved: Unresolved::Deny, ..injection() };
    let denied = mutated(&pod(&json!([container])), &facts, &strict).unwrap_err().to_string();
    assert_eq!(denied, expected[0]);
}

#[test]
fn a_broker_that_does_not_answer_is_a_warning_also_where_the_unresolved_is_denied() {
    let facts = Facts { unchecked: Some("the broker does not answer".to_owned()), ..Facts::default() };
    let strict = Injection { unresolved: Unresolved::Deny, ..injection() };
    let (_, warnings) = mutated(&pod(&json!([app(&json!({"command": ["/a"]}))])), &facts, &strict).unwrap();
    assert_eq!(warnings, ["references were not checked: the broker does not answer"]);
}

#[test]
fn a_pod_with_nothing_for_us_is_left_alone() {
    let before = pod(&json!([{"name": "app", "image": "x", "env": [{"name": "A", "value": "b"}]}]));
    let typed: Pod = serde_json::from_value(before).unwrap();
    let spec = typed.spec.as_ref().unwrap();
    let mutation = mutate(spec, &[], &Facts::default(), &injection()).unwrap();
    assert!(mutation.patch.0.is_empty() && mutation.warnings.is_empty());
}
