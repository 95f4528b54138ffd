//! Certificates that each run makes for itself, with openssl: none is kept, none expires while the tests are young or old.
//! Does not know who uses them.
#![allow(dead_code)] // Each test binary uses a part of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder with an authority of its own; gone with this value.
pub struct Certs {
    folder: PathBuf,
    made: AtomicU32,
    pub authority: Pair,
}

/// A certificate and its key, in PKCS#8.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

/// What tests that name nothing are certified for.
pub const HERE: &str = "DNS:localhost,IP:127.0.0.1,IP:::1";
const CURVE: &[&str] = &[
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];
/// A century.
const DAYS: &str = "36500";

impl Certs {
    pub fn new() -> Certs {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("certs-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let authority = Pair {
            cert: path("authority.pem"),
            key: path("authority.key"),
        };
        let certs = Certs {
            folder,
            made: AtomicU32::new(0),
            authority,
        };
        let Pair { cert, key } = &certs.authority;
        let subject = format!("/CN=wsplug test authority {number}");
        let own = ["req", "-x509", "-days", DAYS, "-subj", &subject];
        certs.openssl(&[&own, CURVE, &["-keyout", key, "-out", cert]].concat());
        certs
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// For a server here.
    pub fn server(&self) -> Pair {
        self.issue("/O=Example, Inc/CN=localhost", HERE)
    }

    /// From the authority, for `names`.
    pub fn issue(&self, subject: &str, names: &str) -> Pair {
        let pair = self.pair();
        let names = format!("subjectAltName={names}");
        let by = ["-CA", &self.authority.cert, "-CAkey", &self.authority.key];
        let what = ["req", "-x509", "-days", DAYS, "-subj", subject];
        let extensions = [
            "-addext",
            &names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ];
        let files = ["-keyout", &pair.key, "-out", &pair.cert];
        self.openssl(&[&what[..], CURVE, &by, &extensions, &files].concat());
        pair
    }

    /// As OpenSSL makes them for developers: a certificate that has signed itself, an authority's by its form.
    pub fn self_made(&self) -> Pair {
        let pair = self.pair();
        let names = format!("subjectAltName={HERE}");
        let what = ["req", "-x509", "-days", DAYS, "-subj", "/CN=localhost"];
        let files = ["-addext", &names, "-keyout", &pair.key, "-out", &pair.cert];
        self.openssl(&[&what[..], CURVE, &files].concat());
        pair
    }

    /// From the authority, valid between two times such as "20200101000000Z".
    pub fn dated(&self, from: &str, to: &str) -> Pair {
        let pair = self.pair();
        let request = self.path("request");
        let what = ["req", "-new", "-subj", "/CN=localhost"];
        self.openssl(&[&what[..], CURVE, &["-keyout", &pair.key, "-out", &request]].concat());
        let index = self.path("index");
        fs::write(&index, "").unwrap();
        let config = self.path("config");
        let folder = self.folder.display();
        let text = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={index}\nrand_serial=yes\npolicy=any\nnew_certs_dir={folder}\n\
             [any]\ncommonName=supplied\n[extensions]\nsubjectAltName={HERE}\nbasicConstraints=critical,CA:FALSE\n"
        );
        fs::write(&config, text).unwrap();
        let Pair { cert, key } = &self.authority;
        let by = [
            "-config", &config, "-cert", cert, "-keyfile", key, "-md", "sha256",
        ];
        let when = [
            "-startdate",
            from,
            "-enddate",
            to,
            "-extensions",
            "extensions",
        ];
        let files = ["-in", &request, "-out", &pair.cert];
        self.openssl(&[&["ca", "-batch", "-notext"][..], &by, &when, &files].concat());
        pair
    }

    /// A new RSA key with its certificate.
    pub fn rsa(&self) -> Pair {
        let pair = self.pair();
        let names = format!("subjectAltName={HERE}");
        let by = ["-CA", &self.authority.cert, "-CAkey", &self.authority.key];
        let what = [
            "req",
            "-x509",
            "-days",
            DAYS,
            "-subj",
            "/CN=localhost",
            "-newkey",
            "rsa:2048",
            "-nodes",
        ];
        let extensions = [
            "-addext",
            &names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ];
        let files = ["-keyout", &pair.key, "-out", &pair.cert];
        self.openssl(&[&what[..], &by, &extensions, &files].concat());
        pair
    }

    /// The same key in another form: `arguments` are those of `openssl pkey` or a command of its own.
    pub fn converted(&self, arguments: &[&str], key: &str) -> String {
        let made = self.path(&format!("converted-{}", self.number()));
        self.openssl(&[arguments, &["-in", key, "-out", &made]].concat());
        made
    }

    pub fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("openssl: {error}"));
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {arguments:?}: {said}");
    }

    fn pair(&self) -> Pair {
        let number = self.number();
        Pair {
            cert: self.path(&format!("{number}.pem")),
            key: self.path(&format!("{number}.key")),
        }
    }

    fn number(&self) -> u32 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }
}

impl Pair {
    /// As a server's option `tls`.
    pub fn tls(&self) -> serde_json::Value {
        serde_json::json!({"certFile": self.cert, "keyFile": self.key})
    }
}

impl Drop for Certs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
