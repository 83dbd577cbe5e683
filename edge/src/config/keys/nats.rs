//! `roles`, `region.*` and `nats.*`.

use super::{list, quoted};
use crate::config::{Key, Roles, Secret};
use std::path::Path;

pub(super) const ROLES: Key = Key {
    name: "roles",
    flag: Some("roles"),
    placeholder: "ROLE,...",
    help: "What this process does: `edge` serves sessions and rooms, `archipelago` groups peers; the other half is elsewhere on NATS when only one is named",
    rule: "a list of `edge` and `archipelago`",
    example: "",
    written: |config| list(&config.roles.list()),
    set: |config, value| Roles::of(&value.list()?).map(|roles| config.roles = roles),
};

pub(super) const ALLOW_SPLIT: Key = Key {
    name: "region.allow_split",
    flag: None,
    placeholder: "BOOL",
    help: "Whether to start beside another edge of the same NATS cluster, though members of one island on both do not hear each other",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.allow_split.to_string()),
    set: |config, value| value.boolean().map(|allowed| config.allow_split = allowed),
};

pub(super) const URL: Key = Key {
    name: "nats.url",
    flag: Some("nats"),
    placeholder: "URL,...",
    help: "Servers of the NATS cluster where the region's halves and others meet; a bus within the process when not set",
    rule: "a list of URLs such as `nats://127.0.0.1:4222` or `tls://nats.example.org:4222`",
    example: "[\"nats://127.0.0.1:4222\"]",
    written: |config| list(&config.nats.url),
    set: |config, value| value.list().map(|urls| config.nats.url = urls),
};

pub(super) const USER: Key = Key {
    name: "nats.user",
    flag: None,
    placeholder: "NAME",
    help: "Who this process is there, with `nats.password`",
    rule: "a text",
    example: "\"atoll\"",
    written: |config| config.nats.user.as_ref().map(quoted),
    set: |config, value| text(value.text()).map(|user| config.nats.user = Some(user)),
};

pub(super) const PASSWORD: Key = Key {
    name: "nats.password",
    flag: None,
    placeholder: "TEXT",
    help: "The password of `nats.user`; better as a variable than in the file",
    rule: "a text",
    example: "\"secret\"",
    written: |config| config.nats.password.as_ref().map(|_| quoted("…")),
    set: |config, value| text(value.text()).map(|text| config.nats.password = Some(Secret(text))),
};

pub(super) const TOKEN: Key = Key {
    name: "nats.token",
    flag: None,
    placeholder: "TEXT",
    help: "A token for the cluster, in place of user and password",
    rule: "a text",
    example: "\"secret\"",
    written: |config| config.nats.token.as_ref().map(|_| quoted("…")),
    set: |config, value| text(value.text()).map(|text| config.nats.token = Some(Secret(text))),
};

pub(super) const NKEY: Key = Key {
    name: "nats.nkey",
    flag: None,
    placeholder: "SEED",
    help: "The seed of an nkey, in place of user and password",
    rule: "a text",
    example: "\"SUA…\"",
    written: |config| config.nats.nkey.as_ref().map(|_| quoted("…")),
    set: |config, value| text(value.text()).map(|text| config.nats.nkey = Some(Secret(text))),
};

pub(super) const CREDENTIALS: Key = Key {
    name: "nats.credentials",
    flag: None,
    placeholder: "FILE",
    help: "A file with a JWT and a seed, as `nsc` writes it, in place of user and password",
    rule: "a path, without `~`",
    example: "\"/etc/atoll/nats.creds\"",
    written: |config| shown(config.nats.credentials.as_deref()),
    set: |config, value| value.path().map(|path| config.nats.credentials = Some(path)),
};

pub(super) const ROOTS: Key = Key {
    name: "nats.roots",
    flag: None,
    placeholder: "FILE",
    help: "Certificates to believe besides those of the system, in PEM",
    rule: "a path, without `~`",
    example: "\"/etc/atoll/nats-ca.pem\"",
    written: |config| shown(config.nats.roots.as_deref()),
    set: |config, value| value.path().map(|path| config.nats.roots = Some(path)),
};

pub(super) const CERTIFICATE: Key = Key {
    name: "nats.certificate",
    flag: None,
    placeholder: "FILE",
    help: "A certificate to show to the cluster, in PEM, with `nats.key`",
    rule: "a path, without `~`",
    example: "\"/etc/atoll/nats.pem\"",
    written: |config| shown(config.nats.certificate.as_deref()),
    set: |config, value| value.path().map(|path| config.nats.certificate = Some(path)),
};

pub(super) const KEY: Key = Key {
    name: "nats.key",
    flag: None,
    placeholder: "FILE",
    help: "The private key of `nats.certificate`, in PEM",
    rule: "a path, without `~`",
    example: "\"/etc/atoll/nats.key\"",
    written: |config| shown(config.nats.key.as_deref()),
    set: |config, value| value.path().map(|path| config.nats.key = Some(path)),
};

pub(super) const ENGINE_SUBJECTS: Key = Key {
    name: "nats.engine_subjects",
    flag: None,
    placeholder: "BOOL",
    help: "Whether heartbeats, island changes, islands and discovery are published on the subjects of archipelago-workers, too",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.nats.spellings.engine.to_string()),
    set: |config, value| value.boolean().map(|on| config.nats.spellings.engine = on),
};

pub(super) const DOCUMENTED_SUBJECTS: Key = Key {
    name: "nats.documented_subjects",
    flag: None,
    placeholder: "BOOL",
    help: "Whether island changes and topics are published on the subjects that the documents name, too",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.nats.spellings.documented.to_string()),
    set: |config, value| value.boolean().map(|on| config.nats.spellings.documented = on),
};

pub(super) const DOCUMENTED_HEARTBEATS: Key = Key {
    name: "nats.documented_heartbeats",
    flag: None,
    placeholder: "BOOL",
    help: "Whether heartbeats are published on the documents' `client-proto.peer.<id>.hearbeat`, too",
    rule: "`true` or `false`",
    example: "",
    written: |config| Some(config.nats.spellings.documented_heartbeats.to_string()),
    set: |config, value| value.boolean().map(|on| config.nats.spellings.documented_heartbeats = on),
};

pub(super) const CLIENT_PROTO_COORDINATES: Key = Key {
    name: "nats.client_proto_coordinates",
    flag: None,
    placeholder: "TYPE",
    help: "How coordinates are written on subjects that begin with `client-proto`, and in `archipelago.islands`; both types are read",
    rule: "`double` or `float`",
    example: "",
    written: |config| Some(quoted(config.nats.client_proto)),
    set: |config, value| value.parse().map(|written| config.nats.client_proto = written),
};

pub(super) const ENGINE_COORDINATES: Key = Key {
    name: "nats.engine_coordinates",
    flag: None,
    placeholder: "TYPE",
    help: "How coordinates are written on the subjects of archipelago-workers; both types are read",
    rule: "`double` or `float`",
    example: "",
    written: |config| Some(quoted(config.nats.engine)),
    set: |config, value| value.parse().map(|written| config.nats.engine = written),
};

fn text(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn shown(path: Option<&Path>) -> Option<String> {
    path.map(|path| quoted(path.display()))
}
