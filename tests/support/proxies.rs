//! Real proxies as processes of their own: tinyproxy, microsocks, stunnel and nginx, on free ports.
//! Does not know what goes through them.
#![allow(dead_code)] // Each test binary uses a part of it.

use crate::host::soon;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct RealProxy {
    pub port: u16,
    child: Child,
    folder: PathBuf,
}

impl RealProxy {
    /// tinyproxy, with a user and a password or open to everybody; none where it is not installed.
    pub fn tinyproxy(login: Option<(&str, &str)>) -> Option<RealProxy> {
        RealProxy::start("tinyproxy", |port, folder| {
            let login = login.map(|(user, password)| format!("BasicAuth {user} {password}\n"));
            let config = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 50\nLogLevel Connect\n{}",
                login.unwrap_or_default()
            );
            let file = folder.join("tinyproxy.conf");
            std::fs::write(&file, config).unwrap();
            vec!["-d".into(), "-c".into(), file.display().to_string()]
        })
    }

    /// microsocks, with a user and a password or open to everybody; none where it is not installed.
    pub fn microsocks(login: Option<(&str, &str)>) -> Option<RealProxy> {
        RealProxy::start("microsocks", |port, _| {
            let mut arguments = vec![
                "-i".into(),
                "127.0.0.1".into(),
                "-p".into(),
                port.to_string(),
            ];
            if let Some((user, password)) = login {
                arguments.extend(["-u", user, "-P", password].map(str::to_owned));
            }
            arguments
        })
    }

    /// stunnel, which takes the TLS off what comes and passes it on to `target`; none where it is not installed.
    pub fn stunnel(target: u16, cert: &str, key: &str) -> Option<RealProxy> {
        RealProxy::start("stunnel", |port, folder| {
            let config = format!(
                "foreground = yes\npid =\ndebug = 5\n[front]\naccept = 127.0.0.1:{port}\n\
                 connect = 127.0.0.1:{target}\ncert = {cert}\nkey = {key}\n"
            );
            let file = folder.join("stunnel.conf");
            std::fs::write(&file, config).unwrap();
            vec![file.display().to_string()]
        })
    }

    /// nginx with these directives of its `http` block, in which PORT is where it listens; none where it is not installed.
    pub fn nginx(directives: &str) -> Option<RealProxy> {
        RealProxy::start("nginx", |port, folder| {
            let folder = folder.display();
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|of| format!("{of}_temp_path {folder}/{of};\n"))
                .concat();
            let config = format!(
                "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n\
                 events {{}}\nhttp {{\naccess_log {folder}/access;\n{temporary}{}\n}}\n",
                directives.replace("PORT", &port.to_string())
            );
            let file = format!("{folder}/nginx.conf");
            std::fs::write(&file, config).unwrap();
            vec!["-e".into(), "stderr".into(), "-c".into(), file]
        })
    }

    fn start(
        program: &str,
        arguments: impl FnOnce(u16, &PathBuf) -> Vec<String>,
    ) -> Option<RealProxy> {
        // None of them can be given port 0 and asked for the real one.
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("wsplug-{program}-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(program)
            .args(arguments(port, &folder))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let Ok(child) = child else {
            let _ = std::fs::remove_dir_all(folder);
            let advice = format!("{program} is missing: run scripts/install.sh proxies");
            assert!(
                std::env::var("WSPLUG_SKIP_PEERS").is_ok_and(|skip| skip == "1"),
                "{advice}, or set WSPLUG_SKIP_PEERS=1"
            );
            eprintln!("not tested: {advice}");
            return None;
        };
        let proxy = RealProxy {
            port,
            child,
            folder,
        };
        let listens = soon(Duration::from_secs(10), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        assert!(listens, "{program} does not listen: {}", proxy.log());
        Some(proxy)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Ends it, with every connection through it.
    pub fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for RealProxy {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
