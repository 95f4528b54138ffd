//! HTTP/1.1 heads: requests, responses and the answers that refuse a request.
//! Knows nothing of what an upgrade means, nor of sockets and time.

use std::fmt::{self, Display, Formatter};

use super::url::split_host_port;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte to the empty line.
    pub bytes: usize,
    /// Number of header lines.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 16 * 1024,
            headers: 100,
        }
    }
}

/// Header names and values in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of this name, in any case.
    pub fn get<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All values of this name, in any case.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The elements of a comma-separated list, which may be spread over several headers.
    pub fn token_list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        // RFC 9110 § 5.6.1: empty elements do not count.
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(|element| element.trim_matches([' ', '\t']))
            .filter(|element| !element.is_empty())
    }

    /// Whether the list names this token, in any case.
    pub fn contains_token(&self, name: &str, token: &str) -> bool {
        self.token_list(name)
            .any(|element| element.eq_ignore_ascii_case(token))
    }
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In the case in which it came; methods are case-sensitive.
    pub method: String,
    /// As it came: `/path?query`, `http://host/path`, `*` or, with CONNECT, anything.
    pub target: String,
    /// The 1 in HTTP/1.1.
    pub minor_version: u8,
    /// Has exactly one valid `Host`, except in HTTP/1.0.
    pub headers: Headers,
}

impl Request {
    /// The path without the query; percent-encoding stays.
    pub fn path(&self) -> &str {
        match self.path_and_query().split('?').next() {
            None | Some("") => "/",
            Some(path) => path,
        }
    }

    /// What follows the first `?`.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query()
            .split_once('?')
            .map(|(_, query)| query)
    }

    /// The host that is meant, with its port if one was given; empty only in HTTP/1.0.
    pub fn host(&self) -> &str {
        // RFC 9112 § 3.2.2: an absolute target overrides the Host header.
        match self.absolute_target() {
            Some((host, _)) => host,
            None => self.headers.get("Host").unwrap_or_default(),
        }
    }

    /// The Host header's or the target's name, without port, as it is compared.
    pub fn host_name(&self) -> String {
        let host = self.host();
        let name = split_host_port(host).map_or(host, |(name, _)| name);
        name.trim_end_matches('.').to_ascii_lowercase()
    }

    /// The length of the body that the head announces.
    pub fn content_length(&self) -> Option<u64> {
        self.headers
            .token_list("Content-Length")
            .next()
            .and_then(|length| length.parse().ok())
    }

    /// Whether something follows the head that belongs to this request.
    pub fn has_body(&self) -> bool {
        self.headers.get("Transfer-Encoding").is_some() || self.content_length().unwrap_or(0) > 0
    }

    fn path_and_query(&self) -> &str {
        self.absolute_target()
            .map_or(self.target.as_str(), |(_, path)| path)
    }

    /// Host and path of a target such as `http://host/path`.
    fn absolute_target(&self) -> Option<(&str, &str)> {
        if self.target.starts_with('/') {
            return None;
        }
        let (_, rest) = self.target.split_once("://")?;
        Some(rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
    }
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Three digits.
    pub status: u16,
    /// May be empty.
    pub reason: String,
    /// In the order in which they came.
    pub headers: Headers,
}

impl Response {
    /// Whether another response follows this one (100, 103 and so on, but not 101).
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Status and reason, as messages show them.
    pub fn status_line(&self) -> String {
        // Without quotes: the reason is text for people.
        let reason = shown(&self.reason);
        format!("{} {}", self.status, reason.trim_matches('"'))
            .trim_end()
            .to_owned()
    }

    /// Whether bytes after the head belong to this answer (RFC 9112 § 6.3).
    pub fn has_body(&self) -> bool {
        self.status >= 200 && !matches!(self.status, 204 | 304)
    }

    /// Whether `bytes`, which follow the head, hold all of the body, or `limit` bytes of it.
    pub fn body_is_complete(&self, bytes: &[u8], limit: usize) -> bool {
        match self.length() {
            Length::Bytes(length) => bytes.len() as u64 >= length.min(limit as u64),
            Length::Chunks => {
                let (body, ended) = unchunk(bytes);
                ended || body.len() >= limit
            }
            Length::UntilTheEnd => bytes.len() >= limit,
        }
    }

    /// The body, at most `limit` bytes of it, out of what follows the head.
    pub fn body(&self, bytes: &[u8], limit: usize) -> Vec<u8> {
        if !self.has_body() {
            return Vec::new();
        }
        let mut body = match self.length() {
            Length::Bytes(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                bytes[..bytes.len().min(length)].to_vec()
            }
            Length::Chunks => unchunk(bytes).0,
            Length::UntilTheEnd => bytes.to_vec(),
        };
        body.truncate(limit);
        body
    }

    /// The connection ends with this answer: lengths that contradict each other do no harm.
    fn length(&self) -> Length {
        if self.headers.contains_token("Transfer-Encoding", "chunked") {
            return Length::Chunks;
        }
        match self.headers.get("Content-Length").map(str::parse) {
            Some(Ok(length)) => Length::Bytes(length),
            _ => Length::UntilTheEnd,
        }
    }
}

/// How a body's end is known.
enum Length {
    Bytes(u64),
    Chunks,
    UntilTheEnd,
}

/// What is there of a body in chunks (RFC 9112 § 7.1), and whether it has ended; what is no chunk ends it.
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&bytes[..end]);
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size @ 1..) = usize::from_str_radix(size, 16) else {
            return (body, true);
        };
        let data = &bytes[end + 1..];
        let Some(rest) = size.checked_add(2).and_then(|next| data.get(next..)) else {
            body.extend_from_slice(&data[..data.len().min(size)]);
            return (body, false);
        };
        body.extend_from_slice(&data[..size]);
        bytes = rest;
    }
    (body, false)
}

/// An HTTP answer that says what was wrong, after which the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400 and above.
    pub status: u16,
    /// One line of text: the body, and fit for a log.
    pub message: String,
    /// In addition to those that every answer has; never with CR or LF.
    pub headers: Vec<(String, String)>,
    /// Which check refused, in a word.
    pub rule: &'static str,
    /// What is sent instead of the message.
    pub body: Option<String>,
}

impl Refusal {
    /// An answer without headers of its own.
    pub fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            message: message.into(),
            headers: Vec::new(),
            rule: "request",
            body: None,
        }
    }

    /// Names the check.
    pub fn because(mut self, rule: &'static str) -> Refusal {
        self.rule = rule;
        self
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: &str) -> Refusal {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The body.
    pub fn text(&self) -> String {
        let message = || format!("{}\n", self.message);
        self.body.clone().unwrap_or_else(message)
    }

    /// The bytes for the wire; `head_only` for answers to HEAD.
    pub fn encode(&self, head_only: bool) -> Vec<u8> {
        // RFC 9110 § 7.8: whoever sends Upgrade lists it in Connection.
        let upgrade = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Upgrade"));
        let connection = if upgrade { "Upgrade, close" } else { "close" };
        let body = self.text();
        let phrase = reason_phrase(self.status);
        let mut text = format!("HTTP/1.1 {} {phrase}\r\n", self.status);
        let has_type = |(name, _): &(String, String)| name.eq_ignore_ascii_case("Content-Type");
        if !self.headers.iter().any(has_type) {
            push_header(&mut text, "Content-Type", "text/plain; charset=utf-8");
        }
        // RFC 9110 § 15.4.5: such an answer has no content.
        let has_body = self.status != 304;
        if has_body {
            push_header(&mut text, "Content-Length", &body.len().to_string());
        }
        push_header(&mut text, "Connection", connection);
        for (name, value) in &self.headers {
            push_header(&mut text, name, value);
        }
        text.push_str("\r\n");
        if has_body && !head_only {
            text.push_str(&body);
        }
        text.into_bytes()
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

/// Reads the head of a request and its length. `None`: more bytes are needed.
pub fn parse_request(bytes: &[u8], limits: &Limits) -> Result<Option<(Request, usize)>, Refusal> {
    HeadScanner::default().request(bytes, limits)
}

/// Reads the head of a response and its length. `None`: more bytes are needed.
pub fn parse_response(bytes: &[u8], limits: &Limits) -> Result<Option<(Response, usize)>, String> {
    HeadScanner::default().response(bytes, limits)
}

/// Reads a head that arrives in pieces, looking at each byte once.
///
/// Each call gets everything that has arrived so far. After a head use a new scanner.
#[derive(Clone, Debug, Default)]
pub struct HeadScanner {
    /// Where the line begins whose end has not been seen.
    line: usize,
    /// No line end between `line` and here.
    looked: usize,
    /// Where the first line begins, once it has been seen whole.
    start: Option<usize>,
}

impl HeadScanner {
    /// As `parse_request`.
    pub fn request(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Request, usize)>, Refusal> {
        let end = self.find_end(bytes, limits)?;
        match bytes.get(self.start.unwrap_or(self.line)..) {
            Some([0x16, 0x03, ..]) => {
                return Err(bad("TLS was spoken to a port that has none; use ws://"));
            }
            Some([0x16]) => return Ok(None),
            Some([first, ..]) if !is_token_byte(*first) && !b"\r\n".contains(first) => {
                return Err(bad("this is not HTTP"));
            }
            _ => {}
        }
        let Some((start, end)) = end else {
            return Ok(None);
        };
        Ok(Some((request_of(&bytes[start..end], limits)?, end)))
    }

    /// As `parse_response`.
    pub fn response(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Response, usize)>, String> {
        self.response_of("the server", "wss://", bytes, limits)
    }

    /// As `parse_response`, with the proxy that it comes from in messages.
    pub fn proxy_response(
        &mut self,
        proxy: &str,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Response, usize)>, String> {
        self.response_of(proxy, "https://", bytes, limits)
    }

    fn response_of(
        &mut self,
        whose: &str,
        secure: &str,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Response, usize)>, String> {
        let end = self
            .find_end(bytes, limits)
            .map_err(|refusal| format!("the answer of {whose} is refused: {}", refusal.message))?;
        match bytes.get(self.start.unwrap_or(self.line)..) {
            Some([0x15 | 0x16, 0x03, ..]) => {
                return Err(format!("{whose} speaks TLS on this port; use {secure}"));
            }
            Some([0x15 | 0x16]) => return Ok(None),
            Some([first, ..]) if !b"H\r\n".contains(first) => {
                return Err(format!("the answer of {whose} is not HTTP"));
            }
            _ => {}
        }
        let Some((start, end)) = end else {
            return Ok(None);
        };
        let response = response_of(&bytes[start..end], limits).map_err(|refusal| {
            format!("the answer of {whose} is malformed: {}", refusal.message)
        })?;
        Ok(Some((response, end)))
    }

    /// Where the head begins and where it ends, just after the empty line.
    fn find_end(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(usize, usize)>, Refusal> {
        let within = &bytes[..bytes.len().min(limits.bytes)];
        while let Some(offset) = within
            .get(self.looked..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line_end = self.looked + offset + 1;
            let is_empty = matches!(&within[self.line..line_end], b"\n" | b"\r\n");
            match self.start {
                Some(start) if is_empty => return Ok(Some((start, line_end))),
                // RFC 9112 § 2.2: empty lines before the first are to be ignored.
                None if !is_empty => self.start = Some(self.line),
                _ => {}
            }
            self.line = line_end;
            self.looked = line_end;
        }
        if bytes.len() >= limits.bytes {
            return Err(Refusal::new(
                431,
                format!("the head has more than {} bytes", limits.bytes),
            )
            .because("head"));
        }
        self.looked = bytes.len();
        Ok(None)
    }
}

/// Whether this is a token of RFC 9110 § 5.6.2, as header names and sub-protocols are.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether this byte may stand in a token.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Text of a peer or a host as messages quote it: short and without control characters.
pub fn shown(text: &str) -> String {
    let more = if text.chars().nth(60).is_some() {
        "..."
    } else {
        ""
    };
    format!("{:?}{more}", text.chars().take(60).collect::<String>())
}

/// Appends a header line.
pub fn push_header(text: &mut String, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        text.push_str(part);
    }
}

/// The standard phrase that follows a status.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // RFC 9112 § 4: the phrase may be empty.
        _ => "",
    }
}

fn request_of(head: &[u8], limits: &Limits) -> Result<Request, Refusal> {
    // Before the lines: what follows an HTTP/2 preface's first line is not a header.
    if head.starts_with(b"PRI * HTTP/2.0\r\n") {
        return Err(Refusal::new(505, "HTTP/2 is not spoken here; use HTTP/1.1"));
    }
    let (line, headers) = lines_of(head, limits)?;
    let line = std::str::from_utf8(line).map_err(|_| bad("the request line is not ASCII"))?;
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad(
            "the request line is not a method, a target and a version",
        ));
    };
    if !is_token(method) {
        return Err(bad(format!("the method {} is not a token", shown(method))));
    }
    let minor_version = match version.as_bytes() {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::new(
                505,
                format!("{version} is not spoken here; use HTTP/1.1"),
            ));
        }
        _ => {
            return Err(bad(format!(
                "the version {} is not HTTP/1.1",
                shown(version)
            )));
        }
    };
    if let Some(byte) = target
        .bytes()
        .find(|byte| !byte.is_ascii_graphic() || *byte == b'#')
    {
        return Err(bad(format!(
            "the request target contains the byte 0x{byte:02x}"
        )));
    }
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        minor_version,
        headers,
    };
    check_target(&request)?;
    check_host(&request)?;
    check_lengths(&request)?;
    Ok(request)
}

fn check_target(request: &Request) -> Result<(), Refusal> {
    let target = request.target.as_str();
    if target.starts_with('/')
        || request.method == "CONNECT"
        || (request.method == "OPTIONS" && target == "*")
    {
        return Ok(());
    }
    let scheme = target.split("://").next().unwrap_or_default();
    let known = ["http", "https", "ws", "wss"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    match request.absolute_target() {
        Some((host, _)) if known => match split_host_port(host) {
            Ok(_) => Ok(()),
            Err(problem) => Err(bad(format!("the request target's {problem}"))),
        },
        _ => Err(bad(format!(
            "the request target {} does not begin with /",
            shown(target)
        ))),
    }
}

fn check_host(request: &Request) -> Result<(), Refusal> {
    let mut hosts = request.headers.all("Host");
    let Some(host) = hosts.next() else {
        // HTTP/1.0 has no Host header.
        return if request.minor_version == 0 {
            Ok(())
        } else {
            Err(bad("the Host header is missing"))
        };
    };
    if hosts.next().is_some() {
        return Err(bad("there is more than one Host header"));
    }
    match split_host_port(host) {
        Ok(_) => Ok(()),
        Err(problem) => Err(bad(format!("the Host header's {problem}"))),
    }
}

/// A length that two readers could take differently is how requests are smuggled past proxies.
fn check_lengths(request: &Request) -> Result<(), Refusal> {
    let headers = &request.headers;
    let Some(first) = headers.get("Content-Length") else {
        return Ok(());
    };
    if headers.get("Transfer-Encoding").is_some() {
        return Err(bad("there are both Content-Length and Transfer-Encoding"));
    }
    let mut lengths = headers.token_list("Content-Length");
    let known = lengths.next().unwrap_or(first);
    if known.is_empty()
        || !known.bytes().all(|byte| byte.is_ascii_digit())
        || known.parse::<u64>().is_err()
    {
        return Err(bad(format!(
            "the Content-Length {} is not a number",
            shown(known)
        )));
    }
    match lengths.find(|length| *length != known) {
        None => Ok(()),
        Some(other) => Err(bad(format!(
            "the Content-Length is both {} and {}",
            shown(known),
            shown(other)
        ))),
    }
}

fn response_of(head: &[u8], limits: &Limits) -> Result<Response, Refusal> {
    let (line, headers) = lines_of(head, limits)?;
    let text = String::from_utf8_lossy(line);
    let mut parts = text.splitn(3, ' ');
    let (version, status) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if version != "HTTP/1.1" && version != "HTTP/1.0" {
        return Err(bad(format!(
            "the version {} is not HTTP/1.1",
            shown(version)
        )));
    }
    let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    match status.parse::<u16>() {
        Ok(number) if digits && number >= 100 => Ok(Response {
            status: number,
            reason: parts.next().unwrap_or_default().trim().to_owned(),
            headers,
        }),
        _ => Err(bad(format!(
            "the status {} is not a number of three digits",
            shown(status)
        ))),
    }
}

/// The first line, unread, and the headers. Stricter than RFC 9112 asks: lines end with CR LF.
fn lines_of<'a>(head: &'a [u8], limits: &Limits) -> Result<(&'a [u8], Headers), Refusal> {
    let mut first = None;
    let mut headers = Vec::new();
    for (index, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(bad(format!("line {number} does not end with CR LF")));
        };
        if let Some(byte) = line
            .iter()
            .find(|byte| byte.is_ascii_control() && **byte != b'\t')
        {
            return Err(bad(match byte {
                0 => format!("line {number} contains NUL"),
                b'\r' => format!("line {number} contains CR without LF"),
                _ => format!("line {number} contains the control character 0x{byte:02x}"),
            }));
        }
        if first.is_none() {
            first = Some(line);
        } else if !line.is_empty() {
            if headers.len() == limits.headers {
                return Err(Refusal::new(
                    431,
                    format!("the head has more than {} headers", limits.headers),
                )
                .because("head"));
            }
            headers.push(header_of(line, number)?);
        }
    }
    Ok((first.unwrap_or_default(), Headers(headers)))
}

fn header_of(line: &[u8], number: usize) -> Result<(String, String), Refusal> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(bad(format!(
            "line {number} begins with a space (folded headers are obsolete)"
        )));
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Err(bad(format!("line {number} has no colon")));
    };
    let name = String::from_utf8_lossy(&line[..colon]);
    if !is_token(&name) {
        return Err(bad(format!(
            "the header name {} in line {number} is not a token",
            shown(&name)
        )));
    }
    match std::str::from_utf8(&line[colon + 1..]) {
        Ok(value) => Ok((
            name.into_owned(),
            value.trim_matches([' ', '\t']).to_owned(),
        )),
        Err(_) => Err(bad(format!("the header {} is not UTF-8", shown(&name)))),
    }
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const GOOD: &[u8] = b"GET /chat?room=1 HTTP/1.1\r\nHost: server.example.com\r\n\
        X-Empty:\r\nX-Two: \t a\tb \t\r\nx-two: \xc3\xa9\r\n\r\n";

    fn refusal(head: impl AsRef<[u8]>) -> Refusal {
        let head = head.as_ref();
        match parse_request(head, &Limits::default()) {
            Err(refusal) => refusal,
            Ok(parsed) => panic!("{:?} gave {parsed:?}", String::from_utf8_lossy(head)),
        }
    }

    fn request(head: &str) -> Request {
        match parse_request(head.as_bytes(), &Limits::default()) {
            Ok(Some((request, length))) if length == head.len() => request,
            other => panic!("{head:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_body_ends_where_the_head_says() {
        let body = |headers: &str, bytes: &str| {
            let head = format!("HTTP/1.1 400 Bad\r\n{headers}\r\n");
            let (response, _) = parse_response(head.as_bytes(), &Limits::default())
                .unwrap()
                .unwrap();
            let is_complete = response.body_is_complete(bytes.as_bytes(), 8);
            let body = response.body(bytes.as_bytes(), 8);
            (String::from_utf8(body).unwrap(), is_complete)
        };
        let chunked = "Transfer-Encoding: chunked\r\n";
        for (headers, bytes, expected, is_complete) in [
            ("", "until the end", "until th", true),
            ("", "until", "until", false),
            ("Content-Length: 4\r\n", "fourmore", "four", true),
            ("Content-Length: 4\r\n", "fou", "fou", false),
            (
                "Content-Length: 99999999999999999999999\r\n",
                "x",
                "x",
                false,
            ),
            (
                "Content-Length: 18446744073709551615\r\n",
                "123456789",
                "12345678",
                true,
            ),
            (chunked, "4\r\nfour\r\n0\r\n\r\n", "four", true),
            (chunked, "4;ext=1\r\nfour\r\nA\r\nabc", "fourabc", false),
            (chunked, "a\r\n0123456789\r\n", "01234567", true),
            (chunked, "ffffffffffffffff\r\nabc", "abc", false),
            (chunked, "fffffffffffffffff\r\nabc", "", true),
            (chunked, "not a size\r\n", "", true),
            (chunked, "4", "", false),
        ] {
            assert_eq!(
                body(headers, bytes),
                (expected.to_owned(), is_complete),
                "{headers:?} {bytes:?}"
            );
        }
    }

    #[test]
    fn a_head_is_found_at_every_split_point() {
        for lead in ["", "\r\n", "\r\n\r\n", "\n"] {
            let mut bytes = lead.as_bytes().to_vec();
            bytes.extend_from_slice(GOOD);
            let end = bytes.len();
            bytes.extend_from_slice(b"\x81\x85\n\n\r\n\r\n");
            let limits = Limits::default();
            let whole = parse_request(&bytes, &limits)
                .expect("valid")
                .expect("complete");
            assert_eq!(whole.1, end);
            assert_eq!(whole.0.method, "GET");
            assert_eq!(whole.0.path(), "/chat");
            assert_eq!(whole.0.query(), Some("room=1"));
            assert_eq!(whole.0.minor_version, 1);
            assert_eq!(whole.0.headers.get("X-EMPTY"), Some(""));
            assert_eq!(
                whole.0.headers.all("X-Two").collect::<Vec<_>>(),
                ["a\tb", "é"]
            );
            let mut trickled = HeadScanner::default();
            for split in 0..end {
                assert_eq!(parse_request(&bytes[..split], &limits), Ok(None), "{split}");
                assert_eq!(
                    trickled.request(&bytes[..split], &limits),
                    Ok(None),
                    "{split}"
                );
                let mut scanner = HeadScanner::default();
                assert_eq!(
                    scanner.request(&bytes[..split], &limits),
                    Ok(None),
                    "{split}"
                );
                assert_eq!(
                    scanner.request(&bytes, &limits),
                    Ok(Some(whole.clone())),
                    "{split}"
                );
            }
            assert_eq!(trickled.request(&bytes[..end], &limits), Ok(Some(whole)));
        }
    }

    #[test]
    fn bad_heads_are_refused_with_a_reason() {
        let rest = "HTTP/1.1\r\nHost: a\r\n\r\n";
        let host = |line: &str| format!("GET / HTTP/1.1\r\n{line}\r\n\r\n");
        let extra = |line: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
        let cases: Vec<(String, u16, &str)> = vec![
            (
                format!("GET /a b {rest}"),
                400,
                "a method, a target and a version",
            ),
            (format!("GET  {rest}"), 400, "does not begin with /"),
            (
                format!("GET {rest}"),
                400,
                "a method, a target and a version",
            ),
            (format!("G(T / {rest}"), 400, "method \"G(T\""),
            (
                format!("GET x {rest}"),
                400,
                "target \"x\" does not begin with /",
            ),
            (format!("GET * {rest}"), 400, "does not begin with /"),
            (format!("GET ftp://a/ {rest}"), 400, "does not begin with /"),
            (format!("GET http://u@a/ {rest}"), 400, "contains '@'"),
            (format!("GET http:/// {rest}"), 400, "host is empty"),
            (format!("GET /#x {rest}"), 400, "byte 0x23"),
            (format!("GET /\t {rest}"), 400, "byte 0x09"),
            (format!("GET /é {rest}"), 400, "byte 0xc3"),
            (
                "GET /\r\nHost: a\r\n\r\n".into(),
                400,
                "a method, a target and a version",
            ),
            (
                "GET / http/1.1\r\nHost: a\r\n\r\n".into(),
                400,
                "version \"http/1.1\"",
            ),
            (
                "GET / HTTP/1.10\r\nHost: a\r\n\r\n".into(),
                400,
                "version \"HTTP/1.10\"",
            ),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 505, "HTTP/2.0"),
            ("GET / HTTP/0.9\r\nHost: a\r\n\r\n".into(), 505, "HTTP/0.9"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505, "HTTP/2"),
            (
                "GET / HTTP/1.1\r\n\r\n".into(),
                400,
                "Host header is missing",
            ),
            (host("Host:"), 400, "host is empty"),
            (host("Host: :80"), 400, "host is empty"),
            (host("Host: a\r\nHost: a"), 400, "more than one Host"),
            (host("Host: a\r\nhost: b"), 400, "more than one Host"),
            (host("Host: a, b"), 400, "contains ','"),
            (host("Host: a/b"), 400, "contains '/'"),
            (host("Host: u@a"), 400, "contains '@'"),
            (host("Host: a:99999"), 400, "port must be"),
            (host("Host: [::1"), 400, "closing ]"),
            (host("Host: ::1"), 400, "several colons"),
            (host("Host : a"), 400, "name \"Host \" in line 2"),
            (host(" Host: a"), 400, "line 2 begins with a space"),
            (extra("X: a\r\n b"), 400, "line 4 begins with a space"),
            (extra("X: a\r\n\tb"), 400, "line 4 begins with a space"),
            (extra("X: a\rb"), 400, "line 3 contains CR without LF"),
            (extra("X: a\r"), 400, "line 3 contains CR without LF"),
            (extra("X: a\0b"), 400, "line 3 contains NUL"),
            (extra("X: a\x0bb"), 400, "0x0b"),
            (extra("X: a\nY: b"), 400, "line 3 does not end with CR LF"),
            (
                "GET / HTTP/1.1\nHost: a\n\n".into(),
                400,
                "line 1 does not end with CR LF",
            ),
            (extra("X"), 400, "line 3 has no colon"),
            (extra(": a"), 400, "name \"\""),
            (extra("é: a"), 400, "is not a token"),
            (
                extra("Content-Length: 1\r\nContent-Length: 2"),
                400,
                "both \"1\" and \"2\"",
            ),
            (extra("Content-Length: 1, 2"), 400, "both \"1\" and \"2\""),
            (extra("Content-Length:"), 400, "is not a number"),
            (extra("Content-Length: +1"), 400, "is not a number"),
            (
                extra("Content-Length: 18446744073709551616"),
                400,
                "is not a number",
            ),
            (
                extra("Content-Length: 1\r\nTransfer-Encoding: chunked"),
                400,
                "both Content-Length and",
            ),
            (extra(&"X: y\r\n".repeat(100)), 431, "more than 100 headers"),
            (
                extra(&format!("X: {}", "y".repeat(16 * 1024))),
                431,
                "more than 16384 bytes",
            ),
            ("\r\n".repeat(9000), 431, "more than 16384 bytes"),
            ("\0".into(), 400, "not HTTP"),
            ("\r\n\r\n\0\r\nQUIT\n".into(), 400, "not HTTP"),
            ("\x16\x03\x01\x02\0\x01\0".into(), 400, "TLS"),
        ];
        for (head, status, reason) in cases {
            let refusal = refusal(&head);
            assert_eq!(refusal.status, status, "{head:?}: {refusal}");
            assert!(refusal.message.contains(reason), "{head:?}: {refusal}");
            let answer = String::from_utf8(refusal.encode(false)).expect("text");
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            assert!(
                answer.ends_with(&format!("\r\n\r\n{}\n", refusal.message)),
                "{answer}"
            );
            let (head, body) = answer.split_once("\r\n\r\n").expect("an empty line");
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
            assert!(head.contains("\r\nConnection: close"));
        }
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused_by_name() {
        let refusal = refusal(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: \xe9\r\n\r\n");
        assert_eq!(
            refusal.to_string(),
            "400: the header \"Cookie\" is not UTF-8"
        );
    }

    #[test]
    fn good_heads_of_every_form_are_read() {
        assert_eq!(request("GET / HTTP/1.0\r\n\r\n").host(), "");
        let absolute = request("GET http://b:81?x HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(absolute.host(), "b:81");
        assert_eq!((absolute.path(), absolute.query()), ("/", Some("x")));
        let nested = request("GET /x?u=http://b/ HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
        assert_eq!(nested.host(), "[::1]:8080");
        assert_eq!((nested.path(), nested.query()), ("/x", Some("u=http://b/")));
        assert_eq!(
            request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").method,
            "OPTIONS"
        );
        let post = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n");
        assert_eq!(post.content_length(), Some(5));
    }

    #[test]
    fn exactly_the_limits_are_allowed() {
        let limits = |bytes, headers| Limits { bytes, headers };
        let status = |limits| parse_request(GOOD, &limits).map_err(|refusal| refusal.status);
        assert!(matches!(status(limits(GOOD.len(), 4)), Ok(Some(_))));
        assert_eq!(status(limits(GOOD.len() - 1, 4)), Err(431));
        assert_eq!(status(limits(GOOD.len(), 3)), Err(431));
        assert_eq!(status(limits(0, 0)), Err(431));
        let part = &GOOD[..10];
        assert_eq!(parse_request(part, &limits(11, 1)), Ok(None));
        assert_eq!(
            parse_request(part, &limits(10, 1)).map_err(|r| r.status),
            Err(431)
        );
    }

    #[test]
    fn huge_heads_cost_linear_time() {
        let began = Instant::now();
        let mut huge = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        huge.resize(20_000_000, b'y');
        let mut many = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        many.extend_from_slice("X: y\r\n".repeat(10_000).as_bytes());
        many.extend_from_slice(b"\r\n");
        assert_eq!(refusal(&huge).status, 431);
        assert_eq!(refusal(&many).status, 431);

        let wide = Limits {
            bytes: 32_000_000,
            headers: 10_001,
        };
        let parsed = parse_request(&many, &wide)
            .expect("valid")
            .expect("complete");
        assert_eq!(parsed.0.headers.iter().count(), 10_001);
        huge.extend_from_slice(b"\r\n\r\n");
        // Byte by byte, as a slow peer sends it.
        let mut scanner = HeadScanner::default();
        for length in 0..huge.len() {
            assert_eq!(scanner.request(&huge[..length], &wide), Ok(None));
        }
        assert!(matches!(scanner.request(&huge, &wide), Ok(Some(_))));
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn responses_are_read_at_every_split_point() {
        let bytes = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        let limits = Limits::default();
        let mut scanner = HeadScanner::default();
        for length in 0..bytes.len() {
            assert_eq!(scanner.response(&bytes[..length], &limits), Ok(None));
        }
        let (response, length) = scanner
            .response(bytes, &limits)
            .expect("valid")
            .expect("complete");
        assert_eq!(length, bytes.len());
        assert_eq!(response.status, 101);
        assert_eq!(response.reason, "Switching Protocols");
        assert!(!response.is_interim());
        for (line, status, reason) in [
            ("HTTP/1.0 502 Bad  Gateway", 502, "Bad  Gateway"),
            ("HTTP/1.1 200 ", 200, ""),
            ("HTTP/1.1 200", 200, ""),
            ("HTTP/1.1 103 Early Hints", 103, "Early Hints"),
        ] {
            let head = format!("{line}\r\n\r\n");
            let (response, _) = parse_response(head.as_bytes(), &limits)
                .expect(line)
                .expect(line);
            assert_eq!(
                (response.status, response.reason.as_str()),
                (status, reason)
            );
            assert_eq!(response.is_interim(), status == 103);
        }
    }

    #[test]
    fn bad_responses_are_refused_with_a_reason() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
        for (head, reason) in [
            ("SSH-2.0-x\r\n", "not HTTP"),
            ("\x15\x03\x01\0\x02", "use wss://"),
            ("HTTP/2.0 200 OK\r\n\r\n", "version \"HTTP/2.0\""),
            ("HTTP/1.1 20 OK\r\n\r\n", "status \"20\""),
            ("HTTP/1.1 +20 OK\r\n\r\n", "status \"+20\""),
            ("HTTP/1.1 099 OK\r\n\r\n", "status \"099\""),
            ("HTTP/1.1\r\n\r\n", "status \"\""),
            (
                "HTTP/1.1 101 OK\nUpgrade: websocket\n\n",
                "line 1 does not end",
            ),
            (
                "HTTP/1.1 101 OK\r\nX: a\r\n b\r\n\r\n",
                "line 3 begins with a space",
            ),
            ("HTTP/1.1 101 OK\r\nX : a\r\n\r\n", "name \"X \""),
            (&many, "more than 100 headers"),
        ] {
            let message = parse_response(head.as_bytes(), &Limits::default()).expect_err(head);
            assert!(message.contains(reason), "{head:?}: {message}");
        }
        let endless = vec![b'H'; 20_000];
        let message = parse_response(&endless, &Limits::default()).expect_err("too long");
        assert!(message.contains("16384"), "{message}");
    }

    #[test]
    fn what_is_accepted_httparse_reads_alike() {
        let mut slots = [httparse::EMPTY_HEADER; 16];
        let mut theirs = httparse::Request::new(&mut slots);
        assert!(
            matches!(theirs.parse(GOOD), Ok(httparse::Status::Complete(length)) if length == GOOD.len())
        );
        let (ours, _) = parse_request(GOOD, &Limits::default())
            .expect("valid")
            .expect("complete");
        assert_eq!(theirs.path, Some(ours.target.as_str()));
        let theirs: Vec<_> = theirs
            .headers
            .iter()
            .map(|header| (header.name, header.value))
            .collect();
        let ours: Vec<_> = ours
            .headers
            .iter()
            .map(|(name, value)| (name, value.as_bytes()))
            .collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn lists_are_spread_over_headers() {
        let headers = Headers(vec![
            ("Connection".into(), "keep-alive,\t Upgrade ,,".into()),
            ("connection".into(), ", x".into()),
        ]);
        let tokens: Vec<_> = headers.token_list("CONNECTION").collect();
        assert_eq!(tokens, ["keep-alive", "Upgrade", "x"]);
        assert!(headers.contains_token("Connection", "upgrade"));
        assert!(!headers.contains_token("Connection", "up"));
    }

    #[test]
    fn answers_to_head_have_no_body_but_its_length() {
        let refusal = Refusal::new(426, "no").with("Upgrade", "websocket");
        assert_eq!(
            String::from_utf8(refusal.encode(true)).expect("text"),
            "HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 3\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
        );
    }

    #[test]
    fn quoted_text_is_short_and_printable() {
        assert_eq!(shown("a\r\n\x1b\"é"), r#""a\r\n\u{1b}\"é""#);
        assert_eq!(shown(&"é".repeat(61)), format!("\"{}\"...", "é".repeat(60)));
    }
}
