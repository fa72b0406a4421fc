//! A job in parts under a real Slurm of one node, with munge, all below a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use compat_tests::{command, statedict, succeed};
use tempfile::TempDir;

/// How long the scheduler may take for anything; what it does takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs that are needed, which Debian has in `slurm-wlm` and `munge`.
const PROGRAMS: [&str; 5] = ["munged", "slurmctld", "slurmd", "sbatch", "squeue"];

/// A cluster of this machine alone, which ends with the value.
struct Cluster {
    folder: TempDir,
    daemons: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The node first, so that the controller still hears of it.
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

impl Cluster {
    /// A cluster that takes jobs; the reason if there is none.
    fn start() -> Result<Cluster, String> {
        if let Some(missing) = PROGRAMS.into_iter().find(|name| found(name).is_none()) {
            return Err(format!("there is no {missing}"));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut cluster = Cluster { folder, daemons: Vec::new() };
        cluster.configure();
        let munge = |name: &str| cluster.path("munge").join(name);
        let file = |option: &str, name: &str| format!("--{option}={}", munge(name).display());
        let mut munged = Command::new(found("munged").expect("it is there"));
        munged.args(["--force", "--foreground", &file("key-file", "key"), &file("seed-file", "s")]);
        munged.args([file("socket", "socket"), file("pid-file", "pid"), file("log-file", "log")]);
        let socket = munge("socket");
        cluster.daemon(&mut munged)?;
        until("munged answers", || socket.exists())?;
        let mut controller = cluster.slurm("slurmctld");
        cluster.daemon(controller.arg("-D"))?;
        let mut node = cluster.slurm("slurmd");
        cluster.daemon(node.args(["-D", "-N", "node"]))?;
        until("the node is idle", || cluster.says("sinfo", &["-h", "-o", "%T"]).trim() == "idle")
            .map_err(|why| format!("{why}: {}", cluster.logs()))?;
        Ok(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes what the daemons read.
    fn configure(&self) {
        for name in ["state", "spool", "munge"] {
            fs::create_dir(self.path(name)).expect("a folder");
        }
        // Others must be able to reach the socket, and nobody to write beside it.
        fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::set_permissions(self.path("munge"), fs::Permissions::from_mode(0o755)).expect("a mode");
        let key = self.path("munge/key");
        fs::write(&key, [7; 128]).expect("a key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).expect("a mode");
        let (user, host) = (printed("id", &["-un"]), printed("hostname", &[]));
        // Two ports that are free as long as nobody else takes them.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
        let [first, second] = ports.map(|it| it.local_addr().expect("bound").port());
        let at = |name: &str| self.path(name).display().to_string();
        let lines = [
            "ClusterName=test".to_string(),
            format!("SlurmctldHost={host}(127.0.0.1)"),
            format!("SlurmctldPort={first}"),
            format!("SlurmUser={user}"),
            format!("SlurmdUser={user}"),
            "AuthType=auth/munge".into(),
            "CredType=cred/munge".into(),
            format!("AuthInfo=socket={}", at("munge/socket")),
            format!("StateSaveLocation={}", at("state")),
            format!("SlurmdSpoolDir={}", at("spool")),
            format!("SlurmctldPidFile={}", at("slurmctld.pid")),
            format!("SlurmdPidFile={}", at("slurmd.pid")),
            format!("SlurmctldLogFile={}", at("slurmctld.log")),
            format!("SlurmdLogFile={}", at("slurmd.log")),
            "ProctrackType=proctrack/linuxproc".into(),
            "TaskPlugin=task/none".into(),
            "MpiDefault=none".into(),
            "SelectType=select/cons_tres".into(),
            "SelectTypeParameters=CR_CPU".into(),
            format!("NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2"),
            "PartitionName=all Nodes=ALL Default=YES State=UP".into(),
        ];
        fs::write(self.path("slurm.conf"), lines.join("\n") + "\n").expect("written");
    }

    fn daemon(&mut self, command: &mut Command) -> Result<(), String> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        self.daemons.push(daemon);
        Ok(())
    }

    fn slurm(&self, program: &str) -> Command {
        let mut command = Command::new(found(program).expect("it is there"));
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command
    }

    fn says(&self, program: &str, words: &[&str]) -> String {
        let output = self.slurm(program).args(words).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn logs(&self) -> String {
        let logs = ["slurmctld.log", "slurmd.log", "munge/log"].map(|name| self.path(name));
        logs.iter().map(|log| fs::read_to_string(log).unwrap_or_default()).collect()
    }
}

/// Where a program is, which may be one for administrators alone.
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

fn printed(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().expect("it runs");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_string()
}

/// Waits for others.
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > PATIENCE {
            return Err(format!("after {PATIENCE:?} not: {what}"));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("UTF-8");
        (name, fs::read(entry.path()).expect("a file"))
    };
    entries.map(read).collect()
}

/// What is run in the place of the command: the first time that it is to do part 2, it is killed.
const KILLED_ONCE: &str = r#"#!/bin/sh
if [ "$1 $SLURM_ARRAY_TASK_ID" = "run-part 2" ] && mkdir "$KILLED" 2>/dev/null; then
    kill -9 $$
fi
exec "$COMMAND" "$@"
"#;

#[test]
fn slurm_does_the_parts_and_a_killed_one_again_and_then_finishes() {
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(why) => return println!("skipped, Slurm (slurm-wlm, munge) does not run here: {why}"),
    };
    let path = |name: &str| cluster.path(name);
    let lenet = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/examples/lenet-dataparallel.pth");
    let words = ["unwrap", lenet, "--shard-size", "60KB", "--cast", "f16", "-o"];
    let at = |name: &str| path(name).display().to_string();
    let (one, out, job, submit) = (at("one"), at("out"), at("job.json"), at("submit.sh"));
    assert_eq!(statedict([&words[..], &[&one]].concat()).status, Some(0));
    let parts = [&out[..], "--plan-parts", "3", "--job", &job, "--slurm", &submit];
    let planned = statedict([&words[..], &parts].concat());
    assert_eq!(planned.status, Some(0), "{}", planned.stderr);

    fs::write(path("killed-once"), KILLED_ONCE).expect("written");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path("killed-once"), executable).expect("a mode");
    let mut submission = cluster.slurm("sbatch");
    let sbatch = PathBuf::from(submission.get_program());
    let folder = sbatch.parent().expect("a folder").display().to_string();
    let search = format!("{folder}:{}", std::env::var("PATH").expect("a path"));
    submission = Command::new("sh");
    submission
        .args([&submit, "--partition=all", "--mem=0"])
        .env("SLURM_CONF", path("slurm.conf"))
        .env("PATH", search)
        .env("STATEDICT", path("killed-once"))
        .env("COMMAND", command())
        .env("KILLED", path("killed"))
        .current_dir(cluster.folder.path());
    succeed(&mut submission, "the parts are submitted");
    let index = path("out").join("model.safetensors.index.json");
    let done = until("the job is done", || {
        index.exists() && cluster.says("squeue", &["-h"]).trim().is_empty()
    });
    done.unwrap_or_else(|why| {
        let logs = fs::read_dir(cluster.folder.path()).expect("a folder").flatten();
        let logs = logs.map(|entry| entry.path());
        let logs = logs.filter(|path| path.extension().is_some_and(|it| it == "out"));
        let said: String = logs.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
        panic!("{why}: {}\n{}\n{said}", cluster.says("squeue", &[]), cluster.logs())
    });
    assert!(path("killed").exists(), "a part was killed");
    assert!(contents(&path("one")) == contents(&path("out")), "the bytes differ");
}
