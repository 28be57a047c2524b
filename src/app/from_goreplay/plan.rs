//! What a command line of GoReplay asks for, put together and written as one shadowtap command.
//!
//! In: flag after flag. Out: the command that inputs and outputs make, with the parts that go with it; a part that
//! this command has not is named like everything else that is missing.

use super::Translated;
use super::check::Words;
use super::values::{Limit, duration, in_quotes, limited, number, recording, without_variables};

/// The commands that come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    Mirror,
    Record,
    Replay,
    Convert,
    Inspect,
}

use Command::{Convert, Inspect, Mirror, Record, Replay};

impl Command {
    fn name(self) -> &'static str {
        match self {
            Mirror => "mirror",
            Record => "record",
            Replay => "replay",
            Convert => "convert",
            Inspect => "inspect",
        }
    }
}

/// Those that send to v2.
pub const SENDING: &[Command] = &[Mirror, Replay];
/// Those that capture.
pub const LIVE: &[Command] = &[Mirror, Record];

/// Words for some of the commands.
#[derive(Debug)]
struct Part {
    given: String,
    words: Vec<String>,
    goes_with: &'static [Command],
}

/// See the module's description.
#[derive(Debug, Default)]
pub struct Plan {
    pub raws: Vec<String>,
    pub is_pcap: bool,
    pub files: Vec<String>,
    pub urls: Vec<(String, Option<Limit>)>,
    pub outputs: Vec<String>,
    pub is_printed: bool,
    pub is_counted: bool,
    pub is_answered: bool,
    pub is_replayed: bool,
    pub middleware: Option<String>,
    pub methods: Vec<String>,
    pub keeps_host: bool,
    pub host: Option<String>,
    pub paths: Vec<String>,
    pub max_rate: Option<f64>,
    pub missing: Vec<(String, String)>,
    pub notes: Vec<String>,
    percent: Option<(f64, Option<String>)>,
    parts: Vec<Part>,
}

impl Plan {
    /// These words, for those commands.
    pub fn put(&mut self, given: &str, goes_with: &'static [Command], words: &[&str]) {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.parts.push(Part { given: given.to_owned(), words, goes_with });
    }

    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    pub fn miss(&mut self, part: impl Into<String>, why: impl Into<String>) {
        self.missing.push((part.into(), why.into()));
    }

    /// Whether there is such a flag already.
    pub fn has(&self, flag: &str) -> bool {
        self.parts.iter().any(|part| part.words.iter().any(|word| word == flag))
    }

    /// A limit on all requests.
    pub fn limit(&mut self, limit: Option<Limit>) -> Result<(), String> {
        match limit {
            None => Ok(()),
            Some(Limit::PerSecond(rate)) => {
                self.max_rate = Some(self.max_rate.map_or(rate, |other| other.min(rate)));
                Ok(())
            }
            // GoReplay lets everything through.
            Some(Limit::Percent(percent)) if percent >= 100.0 => Ok(()),
            Some(Limit::Percent(percent)) => self.share(percent, None),
        }
    }

    /// A share of the requests, by a key or by chance.
    pub fn share(&mut self, percent: f64, key: Option<String>) -> Result<(), String> {
        match &mut self.percent {
            None => self.percent = Some((percent, key)),
            Some((before, None)) if key.is_none() => *before *= percent / 100.0,
            Some(_) => return Err("there is one --percent, by one key".into()),
        }
        Ok(())
    }

    /// The command.
    pub fn finish(mut self) -> Translated {
        let mut words = Words::default();
        let inputs = self.inputs();
        let command = self.command(&inputs);
        if let Some(command) = command {
            words.need(["shadowtap".to_owned(), command.name().to_owned()]);
            if command != Convert {
                words.need(inputs.words(command));
            }
            self.sending(command, &mut words);
            self.recording(command, &mut words);
            self.shares(command, &mut words);
            self.program(command, &mut words);
            for Part { given, words: part, goes_with } in std::mem::take(&mut self.parts) {
                match goes_with.contains(&command) {
                    true => words.put(given, part),
                    false => {
                        let why = format!("`shadowtap {}` has no such part", command.name());
                        self.miss(given, why);
                    }
                }
            }
            if command == Convert {
                let file = self.outputs.first().map_or("", String::as_str);
                let (format, name) = converted(file);
                let format = format.into_iter().flat_map(|format| ["--format", format]);
                words.need(format.map(str::to_owned));
                words.need(inputs.words(command));
                words.need([name]);
            }
        }
        let words = command.and_then(|_| {
            let (words, refused) = words.checked();
            self.missing.extend(refused);
            words
        });
        Translated { words, missing: self.missing, notes: self.notes }
    }

    fn inputs(&mut self) -> Inputs {
        let mut inputs = Inputs::default();
        for raw in std::mem::take(&mut self.raws) {
            let added = limited(&raw).and_then(|(address, limit)| {
                self.limit(limit)?;
                match self.is_pcap {
                    true => inputs.capture(address),
                    false => inputs.address(address),
                }
            });
            if let Err(why) = added {
                self.miss(format!("--input-raw {raw}"), why);
            }
        }
        for file in std::mem::take(&mut self.files) {
            if file.contains(['*', '?', '[']) {
                self.note(format!("{file} is for the shell to expand: take its quotes away"));
            }
            inputs.files.push(file);
        }
        inputs
    }

    /// What inputs and outputs ask for.
    fn command(&mut self, inputs: &Inputs) -> Option<Command> {
        let (is_live, is_file) = (!inputs.ports.is_empty(), !inputs.files.is_empty());
        let [sends, writes] = [!self.urls.is_empty(), !self.outputs.is_empty()];
        if is_live && is_file {
            self.miss(
                "files beside --input-raw",
                "live traffic and files are two commands, mirror and replay",
            );
        }
        if self.is_printed && (sends || writes || is_live) {
            self.miss(
                "--output-stdout",
                "requests on their way are not printed; `shadowtap record`, and `shadowtap inspect --follow --body` beside it",
            );
        }
        let command = match (is_live, is_file) {
            (true, _) if sends => Mirror,
            (true, _) if writes => Record,
            (false, true) if self.is_counted => Inspect,
            (false, true) if sends => Replay,
            (false, true) if writes => Convert,
            (false, true) => Inspect,
            (true, _) => {
                self.miss("the command", "there is no output left to capture for");
                return None;
            }
            (false, false) => {
                self.miss("the command", "there is no input left to read");
                return None;
            }
        };
        if writes && command == Replay {
            self.miss(
                "--output-file",
                "`shadowtap replay` writes nothing; `shadowtap convert` does",
            );
        }
        if writes && matches!(command, Inspect) {
            self.miss("--output-file", "GoReplay writes nothing either in a dry run");
        }
        Some(command)
    }

    fn sending(&mut self, command: Command, words: &mut Words) {
        let filters = std::mem::take(&mut self.paths);
        if !SENDING.contains(&command) {
            if command == Inspect {
                let how = if self.is_printed && !self.is_counted { "--body" } else { "--stats" };
                words.need([how.into()]);
            }
            let all = "every request is taken; filter when it is sent, with the same flag of `shadowtap replay`";
            for method in std::mem::take(&mut self.methods) {
                self.miss(format!("--http-allow-method {method}"), all);
            }
            for path in filters {
                self.miss(format!("--http-allow-url {path}"), all);
            }
            return;
        }
        self.targets(words);
        match (self.host.take(), self.keeps_host) {
            // The rule comes behind: of GoReplay's two this one has the last word.
            (Some(host), _) => {
                let given = format!("--http-set-header Host: {host}");
                words.put(given, ["--host".into(), host]);
            }
            (None, true) => {}
            (None, false) => words.extend(["--host".into(), "target".into()]),
        }
        let methods = match self.methods.is_empty() {
            true => "all".into(),
            false => self.methods.join(","),
        };
        let given = format!("--http-allow-method {methods}");
        words.put(given, ["--methods".into(), methods]);
        if !filters.is_empty() {
            let tests: Vec<_> =
                filters.iter().map(|re| format!("path =~ {}", in_quotes(re))).collect();
            let given = format!("--http-allow-url {}", filters.join(" --http-allow-url "));
            words.put(given, ["--only".into(), tests.join(" or ")]);
        }
        let is_told = self.outputs.is_empty() && self.middleware.is_none();
        if self.is_answered && command == Mirror && is_told {
            words.extend(["--responses".into()]);
        }
    }

    fn targets(&mut self, words: &mut Words) {
        let urls = std::mem::take(&mut self.urls);
        let first = urls.first().and_then(|(_, limit)| *limit);
        let is_common = urls.iter().all(|(_, limit)| *limit == first);
        if is_common && let Err(why) = self.limit(first) {
            self.miss("the limit of --output-http", why);
        }
        for (mut url, limit) in urls {
            match limit.filter(|_| !is_common) {
                Some(Limit::Percent(percent)) if percent < 100.0 => {
                    self.note("a share of one target, such as @10%, is one of the connections, not of the requests");
                    url = format!("{url}@{}%", number(percent));
                }
                Some(Limit::PerSecond(rate)) => self.miss(
                    format!("--output-http {url}|{}", number(rate)),
                    "--max-rate is for all targets together",
                ),
                _ => {}
            }
            words.need(["--to".into(), url]);
        }
    }

    /// The file of `record` and `mirror --record`.
    fn recording(&mut self, command: Command, words: &mut Words) {
        for extra in self.outputs.iter().skip(1) {
            let why = "one command writes one file";
            self.missing.push((format!("--output-file {extra}"), why.into()));
        }
        let Some(file) = self.outputs.first().cloned() else { return };
        let (address, limit) = limited(&file).unwrap_or((&file, None));
        if limit.is_some() {
            self.miss(
                format!("the limit of --output-file {file}"),
                "a recording takes everything; take a share when it is sent (`shadowtap replay --percent`)",
            );
        }
        let missing = match command {
            Mirror | Record => {
                let (name, missing) = recording(address);
                self.note(format!(
                    "{name} is a WARC file, secrets in it are replaced by hashes, and times in its name are UTC; `shadowtap convert` makes a .gor file of it"
                ));
                words.need([if command == Record { "-o" } else { "--record" }.into(), name]);
                missing
            }
            Convert => without_variables(address, &[]).1,
            Replay | Inspect => return,
        };
        for variable in missing {
            self.miss(format!("{variable} in the file's name"), "no such variable is filled in");
        }
    }

    /// The program that is asked. GoReplay parts its words at each space and knows no quotes.
    fn program(&mut self, command: Command, words: &mut Words) {
        let tracked = "--output-http-track-response";
        let Some(text) = self.middleware.take() else {
            if self.is_replayed {
                self.miss(
                    tracked,
                    "v2's answers are counted by status and timed, and not handed on",
                );
            }
            return;
        };
        if !SENDING.contains(&command) {
            let why = format!("`shadowtap {}` has no such part", command.name());
            return self.miss(format!("--middleware {text}"), why);
        }
        let program: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let Ok(program) = shlex::try_join(program) else {
            return self.miss(format!("--middleware {text}"), "it has a zero byte");
        };
        self.note(
            "GoReplay's middleware sees requests before its filters; here it is asked about those that are sent, and a \
             request of which it says nothing is counted as middleware_timeout",
        );
        let sees = match (self.is_answered, self.is_replayed) {
            (false, false) => None,
            (true, false) => Some("v1"),
            (false, true) => Some("v2"),
            (true, true) => Some("all"),
        };
        let mut part = vec!["--middleware", &program, "--middleware-protocol", "gor"];
        part.extend(sees.into_iter().flat_map(|sees| ["--middleware-sees", sees]));
        let part: Vec<_> = part.into_iter().map(str::to_owned).collect();
        words.put(format!("--middleware {text}"), part);
    }

    fn shares(&mut self, command: Command, words: &mut Words) {
        let is_sending = SENDING.contains(&command);
        let why =
            "every request is taken; take a share when it is sent (`shadowtap replay --percent`)";
        match self.percent.take() {
            Some((percent, key)) if is_sending => {
                words.extend(["--percent".into(), number(percent)]);
                words.extend(key.into_iter().flat_map(|key| ["--sample-by".into(), key]));
            }
            Some((percent, _)) => self.miss(format!("the limit of {}%", number(percent)), why),
            None => {}
        }
        match self.max_rate.take() {
            Some(rate) if is_sending => {
                words.extend(["--max-rate".into(), format!("{}/s", number(rate))])
            }
            Some(rate) => self.miss(format!("the limit of {} a second", number(rate)), why),
            None => {}
        }
    }
}

/// What `convert` writes: the format, where the name does not tell it, and the name. A .gor file, whatever its name.
fn converted(file: &str) -> (Option<&'static str>, String) {
    let address = limited(file).map_or(file, |(address, _)| address);
    let name = without_variables(address, &[]).0;
    let format = match (name.ends_with(".gor") || name.ends_with(".gor.gz"), name.ends_with(".gz"))
    {
        (true, _) => None,
        (false, true) => Some("gor.gz"),
        (false, false) => Some("gor"),
    };
    (format, name)
}

/// Where requests come from.
#[derive(Debug, Default)]
struct Inputs {
    ports: Vec<String>,
    interfaces: Vec<String>,
    servers: Vec<String>,
    files: Vec<String>,
    file_ports: Vec<String>,
}

impl Inputs {
    /// `:80`, `:80,8080`, `10.0.0.1:80`, `eth0:80`.
    fn address(&mut self, address: &str) -> Result<(), String> {
        if address.starts_with("k8s://") {
            return Err(
                "shadowtap does not ask Kubernetes for pods; it runs in the pod, see k8s/sidecar"
                    .into(),
            );
        }
        let (host, ports) = address.rsplit_once(':').unwrap_or((address, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.contains(['*', '?']) {
            return Err("name each interface, or take all of them, which is the default".into());
        }
        let ports: Vec<_> =
            ports.split(',').map(str::trim).filter(|port| !port.is_empty()).collect();
        if ports.is_empty() || ports.contains(&"0") {
            return Err("every port at once is not captured; say which ones v1 listens on".into());
        }
        if let Some(wrong) = ports.iter().find(|port| port.parse::<u16>().is_err()) {
            return Err(format!("`{wrong}` is no port"));
        }
        match host {
            "" | "0.0.0.0" | "::" => {}
            "localhost" => add(&mut self.servers, "127.0.0.1"),
            ip if ip.parse::<std::net::IpAddr>().is_ok() => add(&mut self.servers, ip),
            name => add(&mut self.interfaces, name),
        }
        ports.into_iter().for_each(|port| add(&mut self.ports, port));
        Ok(())
    }

    /// `x.pcap`, `x.pcap:80`.
    fn capture(&mut self, address: &str) -> Result<(), String> {
        let is_ports = |ports: &str| {
            !ports.is_empty() && ports.split(',').all(|port| port.parse::<u16>().is_ok())
        };
        let (file, ports) = match address.rsplit_once(':').filter(|(_, ports)| is_ports(ports)) {
            Some((file, ports)) => (file, ports),
            None => (address.trim_end_matches(':'), "0"),
        };
        add(&mut self.files, file);
        ports
            .split(',')
            .filter(|port| *port != "0")
            .for_each(|port| add(&mut self.file_ports, port));
        Ok(())
    }

    fn words(&self, command: Command) -> Vec<String> {
        let mut words = Vec::new();
        let mut put = |flag: &str, values: &[String]| {
            if !values.is_empty() {
                words.extend([flag.to_owned(), values.join(",")]);
            }
        };
        if LIVE.contains(&command) {
            put("-p", &self.ports);
            put("-i", &self.interfaces);
            put("--server", &self.servers);
            return words;
        }
        put("-p", &self.file_ports);
        words.extend(self.files.iter().cloned());
        words
    }
}

fn add(list: &mut Vec<String>, value: &str) {
    if !list.iter().any(|other| other == value) {
        list.push(value.to_owned());
    }
}

/// The value of a flag that takes a time.
pub fn time(value: &str) -> Result<String, String> {
    duration(value).ok_or_else(|| format!("`{value}` is no time, and GoReplay refuses it too"))
}
