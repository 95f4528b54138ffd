//! curl, Python's http.client and a browser, as they are.

use std::process::Command;

use serde_json::json;

use crate::certs::Certs;
use crate::scene::{Scene, Server};
use crate::{PAGE, Site, cc, interop_peers};

fn curl(arguments: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--noproxy",
        "*",
    ]);
    curl.args(arguments);
    cc::run(&mut curl, "curl")
}

fn url(server: Server, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", server.port)
}

#[test]
fn curl_gets_parts_follows_redirects_resumes_and_keeps_its_connection() {
    if !interop_peers::has(&interop_peers::program("curl"), "curl") {
        return;
    }
    let (scene, site) = (Scene::new(), Site::new());
    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    site.write("www/large", &large);
    let server = scene.server(site.at_root(json!({})));
    assert_eq!(curl(&[&url(server, "/")]), PAGE);
    assert_eq!(curl(&["--location", &url(server, "/sub")]), "<p>sub</p>");
    assert_eq!(curl(&["--range", "3-5", &url(server, "/digits")]), "345");
    assert!(curl(&["--head", &url(server, "/app.js")]).contains("Content-Type: text/javascript"));
    let code = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{num_connects}\n",
    ];
    let all = |more: &[&str]| curl(&[&code[..], more].concat());
    // Each URL has its own output; the connection is one.
    let several = curl(&[
        "--write-out",
        "\n%{http_code} %{num_connects}\n",
        &url(server, "/digits"),
        &url(server, "/nothing"),
        &url(server, "/digits"),
    ]);
    let connects: Vec<&str> = several
        .lines()
        .filter(|line| line.starts_with("200 ") || line.starts_with("404 "))
        .collect();
    assert_eq!(connects, ["200 1", "404 0", "200 0"], "{several}");
    assert_eq!(
        all(&["--request", "POST", "--data", "x=1", &url(server, "/")]),
        "405 1\n"
    );
    let (etag, copy) = (site.path("etag"), site.path("copy"));
    for expected in ["200 1\n", "304 1\n"] {
        let given = [
            "--etag-save",
            &etag,
            "--etag-compare",
            &etag,
            &url(server, "/digits"),
        ];
        assert_eq!(all(&given), expected);
    }
    assert_eq!(
        all(&[
            "--time-cond",
            &site.path("www/digits"),
            &url(server, "/digits")
        ]),
        "304 1\n"
    );
    // What is there of a download is not sent again.
    std::fs::write(&copy, &large[..1_234_567]).unwrap();
    curl(&[
        "--continue-at",
        "-",
        "--output",
        &copy,
        &url(server, "/large"),
    ]);
    assert!(std::fs::read(&copy).unwrap() == large);

    let certs = Certs::new();
    let pair = certs.server();
    let tls = json!({"tls": {"certFile": pair.cert, "keyFile": pair.key}});
    let secure = scene.server(site.at_root(tls));
    let secure = format!("https://localhost:{}/large", secure.port);
    std::fs::remove_file(&copy).unwrap();
    curl(&[
        "--cacert",
        &certs.authority.cert,
        "--output",
        &copy,
        &secure,
    ]);
    assert!(std::fs::read(&copy).unwrap() == large);
    scene.finish();
}

#[test]
fn pythons_http_client_uses_one_connection_for_all() {
    let (scene, site) = (Scene::new(), Site::new());
    let server = scene.server(site.at_root(json!({"health": "/health", "metrics": "/metrics"})));
    let program = "
import http.client, sys
connection = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=20)
sockets = set()
def ask(method, path, **headers):
    connection.request(method, path, headers={name.replace('_', '-'): value for name, value in headers.items()})
    sockets.add(connection.sock)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer
print(ask('GET', '/digits')[:2], ask('HEAD', '/digits')[:2], ask('OPTIONS', '/digits')[:2])
tag = ask('GET', '/digits')[2].headers['ETag']
print(ask('GET', '/digits', If_None_Match=tag)[:2], ask('GET', '/digits', Range='bytes=-3')[:2])
print(ask('GET', '/nothing')[0], ask('GET', '/health')[:2], 'wsplug_clients' in ask('GET', '/metrics')[1])
print(len(sockets))
";
    let mut python = Command::new("python3");
    python.args(["-c", program, &server.port.to_string()]);
    let expected = "(200, '0123456789') (200, '') (204, '')\n(304, '') (206, '789')\n404 (200, 'ok\\n') True\n1\n";
    assert_eq!(cc::run(&mut python, "python3"), expected);
    scene.finish();
}

#[test]
fn a_browsers_page_reads_from_elsewhere_what_it_may() {
    if !interop_peers::has(&interop_peers::program("chromium"), "chromium") {
        return;
    }
    let (scene, site) = (Scene::new(), Site::new());
    let page = scene.server(site.at_root(json!({})));
    let origin = format!("http://127.0.0.1:{}", page.port);
    let health = json!({"health": "/health", "metrics": "/metrics", "auth": {"bearer": "token"}});
    let with = |cors: serde_json::Value| {
        let mut options = health.clone();
        options["cors"] = cors;
        scene.server(site.at_root(options))
    };
    let servers = [
        with(json!([origin])),
        with(json!("*")),
        with(json!(["https://a.example"])),
    ];
    let mut browser = Command::new("python3");
    browser
        .arg("-B")
        .arg(cc::project().join("tests/interop/fetching_browser.py"))
        .arg(format!("{origin}/"))
        .arg(site.path("browser"))
        .args(servers.map(|server| url(server, "")));
    cc::run(&mut browser, "fetching_browser.py");
    scene.finish();
}
