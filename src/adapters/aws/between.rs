//! What the environment puts between drctl and AWS: a proxy, and roots of its own that vouch for servers. Companies use both for good
//! reasons, and with such roots somebody else can also answer under AWS's own names. So runs name them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files::{self, Use};
use crate::model::environment::{CERTIFICATES, Endpoint, PROXY, Source};
use crate::model::ids::Digest;

/// Variables that name a proxy for HTTPS (hyper-util, `proxy::matcher`).
const PROXIES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Where operating systems keep their own roots (openssl-probe): only an administrator of the machine can change those.
const OF_THE_SYSTEM: [&str; 8] = [
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// What stands between. `settings` are the endpoints in `drctl.yaml`: what they name as well is known to the operators.
pub(super) fn between<'e>(
    variable: impl Fn(&str) -> Option<&'e str>,
    settings: &BTreeMap<String, String>,
) -> BTreeSet<Endpoint> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let proxy = PROXIES.iter().find_map(|name| set(name));
    let own = |path: &&str| !path.is_empty() && !OF_THE_SYSTEM.contains(&path.trim_end_matches('/'));
    let file = set("SSL_CERT_FILE").filter(own).map(|path| digest([Path::new(path).to_owned()]));
    // The order of a folder is no property of its content.
    let folder = set("SSL_CERT_DIR").filter(|paths| paths.split(':').any(|path| own(&path))).map(|paths| {
        let inside = paths.split(':').filter(own).filter_map(|path| std::fs::read_dir(path).ok()).flatten();
        digest(inside.filter_map(|entry| Some(entry.ok()?.path())).collect::<BTreeSet<_>>())
    });
    let roots = file.into_iter().chain(folder).map(|digest| (CERTIFICATES, digest));
    let all = proxy.map(|url| (PROXY, url.to_owned())).into_iter().chain(roots);
    all.map(|(service, is)| {
        let found = Endpoint::new(service, &is, Source::Sdk);
        let named = settings.get(service).map(|said| Endpoint::new(service, said, Source::Settings));
        named.filter(|named| named.url == found.url).unwrap_or(found)
    })
    .collect()
}

/// Of the contents of files. A file that cannot be read vouches for nothing.
fn digest(files: impl IntoIterator<Item = std::path::PathBuf>) -> String {
    let read = files.into_iter().filter_map(|path| files::read(&path, Use::Certificates).ok());
    let contents: Vec<Vec<u8>> = read.collect();
    let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    format!("sha256://{}", Digest::of_fields(&contents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_and_own_roots_are_named_and_prove_nothing_unless_the_settings_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "one").unwrap();
        let (file, folder) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
        let is = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://me:hunter2@proxy.example:3128"),
            "SSL_CERT_FILE" => Some(file),
            "SSL_CERT_DIR" => Some(folder),
            _ => None,
        };
        let none = BTreeMap::new();
        assert!(between(|_| None, &none).is_empty() && between(|_| Some(""), &none).is_empty());
        let all: Vec<_> = between(is, &none).into_iter().collect();
        assert_eq!(all.len(), 2, "{all:?}");
        // Under the system's own roots a proxy can read or change nothing.
        assert!(all[0].is_foreign() && !all[1].is_foreign(), "{all:?}");
        let usual = |name: &str| match name {
            "SSL_CERT_FILE" => Some("/etc/ssl/certs/ca-certificates.crt"),
            "SSL_CERT_DIR" => Some("/etc/ssl/certs/"),
            _ => None,
        };
        assert!(between(usual, &none).is_empty(), "the roots of the operating system");
        assert!(all[0].url.starts_with("sha256://") && all[1].url == "http://proxy.example:3128", "{all:?}");
        let settings: BTreeMap<_, _> = all.iter().map(|e| (e.service.clone(), e.url.clone())).collect();
        assert!(!between(is, &settings).iter().any(Endpoint::is_foreign));
        // Other roots than those that were named.
        std::fs::write(file, "two").unwrap();
        let now = between(is, &settings);
        assert!(now.iter().any(|e| e.service == CERTIFICATES && e.is_foreign()), "{now:?}");
    }
}
