//! A headless Chromium, driven by what Debian's chromium-driver understands (WebDriver).

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A Chromium with one page open; ends when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    /// The path of the session.
    session: String,
    /// Where it keeps what it remembers.
    profile: TempDir,
}

/// Whether a page is shown light or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Browser {
    /// Opens a file; the error says why there is no browser here.
    ///
    /// # Errors
    /// There is no chromium-driver.
    ///
    /// # Panics
    /// If there is one, and it does not do what it should.
    pub fn open(page: &Path, scheme: Scheme) -> Result<Browser, String> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().map_err(|error| format!("no chromedriver: {error}"))?;
        let said = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let mut said = said.map_while(Result::ok);
        let port = said.find_map(|line| {
            let (_, port) = line.rsplit_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let profile = tempfile::tempdir().expect("a temporary folder can be made");
        let mut browser = Browser {
            driver,
            port: port.expect("it says on which port it listens"),
            session: String::new(),
            profile,
        };
        browser.begin(scheme);
        browser.ask("POST", "/url", &json!({ "url": format!("file://{}", page.display()) }));
        Ok(browser)
    }

    fn begin(&mut self, scheme: Scheme) {
        let mut arguments = vec![
            "--headless=new".to_string(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--no-first-run".into(),
            // Tests are run by root, too, for whom there is no sandbox.
            "--no-sandbox".into(),
            "--window-size=1280,1000".into(),
            format!("--user-data-dir={}", self.profile.path().display()),
        ];
        if scheme == Scheme::Dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let found = self.ask("POST", "/session", &wanted);
        self.session = format!("/session/{}", found["sessionId"].as_str().expect("a session"));
    }

    /// What a script of the page returns; `arguments` are what it is given.
    ///
    /// # Panics
    /// If the script fails.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        let body = json!({ "script": script, "args": arguments });
        self.ask("POST", "/execute/sync", &body)
    }

    /// The same of a script that calls its last argument with what it found.
    ///
    /// # Panics
    /// If the script fails, or takes more than half a minute.
    pub fn wait(&self, script: &str) -> Value {
        self.ask("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Types keys into whatever has the focus.
    ///
    /// # Panics
    /// If nothing can be typed into it.
    pub fn type_keys(&self, keys: &str) {
        let presses = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        });
        let presses: Vec<Value> = presses.collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": presses }] });
        self.ask("POST", "/actions", &actions);
    }

    /// What the page said on its console.
    ///
    /// # Panics
    /// If the driver does not say.
    pub fn said(&self) -> Vec<String> {
        let lines = self.ask("POST", "/se/log", &json!({ "type": "browser" }));
        let lines = lines.as_array().expect("a list").iter();
        lines.map(|line| line["message"].as_str().unwrap_or_default().to_string()).collect()
    }

    /// Asks the driver; what it says went wrong is a panic.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body).expect("the driver answers");
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{path}: {value:#}");
        value
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> io::Result<Value> {
        let (body, path) = (body.to_string(), format!("{}{path}", self.session));
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        answer(&mut BufReader::new(stream))
    }
}

/// The body of an answer, which is JSON of the length that its head says.
fn answer(stream: &mut impl BufRead) -> io::Result<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser, which a driver that is killed leaves behind.
        if !self.session.is_empty() {
            let _ = self.send("DELETE", "", &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
