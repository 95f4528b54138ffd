//! Knows how a certificate file is examined: what is in it, and whether a server with it would be believed.
//! Does not know where it will be used.

use std::fs;
use std::path::Path;

use serde_json::json;
use x509_cert::Certificate;
use x509_cert::der::Encode;

use super::Report;
use super::certificate::Chain;
use crate::library::{Client, Server};
use crate::reach::Reach;

pub fn examine(path: &Path, reach: &Reach, report: &mut Report) {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            return report.wrong(
                "file",
                found,
                "Give the path of a PEM file that can be read.",
            );
        }
    };
    let chain = Certificate::load_pem_chain(&bytes).ok();
    let der = chain.iter().flatten().filter_map(|one| one.to_der().ok());
    let Some(chain) = Chain::of(der) else {
        return report.wrong(
            "file",
            "there is no certificate in it that can be read",
            "It has to be PEM: text with -----BEGIN CERTIFICATE-----. From DER: openssl x509 -inform der -in FILE",
        );
    };
    report.good("file", path.display().to_string());
    chain.examine(report);

    let own_key = bytes.windows(11).any(|window| window == b"PRIVATE KEY");
    let Some(key) = reach.key().or_else(|| own_key.then(|| path.to_owned())) else {
        return report.odd(
            "key, chain",
            "not examined: there is no key",
            "Give it with --key FILE; then a server is started with both, and asked by a client.",
        );
    };
    let names = chain.names();
    let first = names.iter().map(|name| name.replace('*', "any"));
    let Some(name) = reach.server_name.clone().or(first.clone().next()) else {
        return;
    };
    // A server on this machine, and a client that asks it for the name.
    let tls = json!({"certFile": path.to_string_lossy(), "keyFile": key.to_string_lossy()});
    let served =
        Server::create(&json!({"port": 0, "tls": tls})).and_then(|(server, _)| server.start());
    let port = match served {
        Ok(reply) => reply["port"].clone(),
        Err(failure) => {
            let advice =
                "The server needs the certificate and the key that was made for it, not encrypted.";
            return report.wrong("server", failure.to_string(), advice);
        }
    };
    report.good(
        "key",
        "it belongs to the certificate, and a server starts with them",
    );
    let url = format!("wss://127.0.0.1:{port}/");
    let mut options = reach.options(&url, json!({"proxy": "none"}));
    options["tls"] = json!({"serverName": name});
    if let Some(authority) = reach.authority() {
        options["tls"]["caFile"] = authority.into();
    }
    let opened = Client::create(&options).and_then(|(client, _)| client.start(&json!({})));
    match opened {
        Ok(_) => report.good(
            "believed",
            format!("a client that asks for {name} believes it"),
        ),
        Err(failure) => believe(&failure.to_string(), &chain, report),
    }
}

/// Why a client does not believe it.
pub fn believe(problem: &str, chain: &Chain, report: &mut Report) {
    if problem.contains("unknown authority") || problem.contains("in caFile itself") {
        let (found, advice) = chain.unknown_authority();
        return report.wrong("believed", found, &advice);
    }
    let advice = match () {
        () if problem.contains("is for") => {
            "Use one of its names in the url, or get a certificate for this one; --server-name asks for another."
        }
        () if problem.contains("expired") || problem.contains("not valid before") => {
            "See the dates above."
        }
        () => "",
    };
    report.wrong("believed", problem, advice);
}
