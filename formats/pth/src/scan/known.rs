//! What is known to do harm when a pickle calls it, and how.

const SHELL: &str = "it runs a command of the file's choosing";
const CODE: &str = "it runs Python code of the file's choosing";
const LOOKUP: &str = "it reaches any attribute of any object, and with that any function";
const INDIRECT: &str = "it calls whatever function it is given";
const UNPICKLE: &str = "it loads another pickle, which can call anything";
const IMPORT: &str = "it imports modules of the file's choosing, which runs their code";
const FILES: &str = "it reads, writes or deletes files";
const NETWORK: &str = "it opens network connections";
const NATIVE: &str = "it loads or runs native code";
const SYSTEM: &str = "it reaches the interpreter or the operating system";
const TORCH_LOAD: &str = "it loads another checkpoint and runs its pickle";
const DOWNLOAD: &str = "it downloads and runs code";
const DEBUGGER: &str = "it starts a debugger or console, which runs what is typed or given";
const BUILDS: &str = "it compiles and runs code of the file's choosing";

/// Paths with what is below them, and the reason; the longest that fits counts.
const KNOWN: &[(&str, &str)] = &[
    ("_io", FILES),
    ("_osx_support", SHELL),
    ("_pickle", UNPICKLE),
    ("_posixsubprocess", SHELL),
    ("_pyrepl", DEBUGGER),
    ("_socket", NETWORK),
    ("_thread", INDIRECT),
    ("_winapi", SHELL),
    ("aiohttp", NETWORK),
    ("ast", CODE),
    ("asyncio", SHELL),
    ("bdb", DEBUGGER),
    ("builtins", SYSTEM),
    ("builtins.__build_class__", CODE),
    ("builtins.__import__", IMPORT),
    ("builtins.apply", INDIRECT),
    ("builtins.breakpoint", DEBUGGER),
    ("builtins.compile", CODE),
    ("builtins.delattr", LOOKUP),
    ("builtins.eval", CODE),
    ("builtins.exec", CODE),
    ("builtins.execfile", CODE),
    ("builtins.file", FILES),
    ("builtins.filter", INDIRECT),
    ("builtins.getattr", LOOKUP),
    ("builtins.globals", LOOKUP),
    ("builtins.input", CODE),
    ("builtins.iter", INDIRECT),
    ("builtins.locals", LOOKUP),
    ("builtins.map", INDIRECT),
    ("builtins.max", INDIRECT),
    ("builtins.min", INDIRECT),
    ("builtins.open", FILES),
    ("builtins.setattr", LOOKUP),
    ("builtins.sorted", INDIRECT),
    ("builtins.type", CODE),
    ("builtins.vars", LOOKUP),
    ("cProfile", CODE),
    ("cffi", NATIVE),
    ("cloudpickle", UNPICKLE),
    ("code", DEBUGGER),
    ("codecs.open", FILES),
    ("codeop", CODE),
    ("concurrent.futures", INDIRECT),
    ("copyreg.add_extension", IMPORT),
    ("ctypes", NATIVE),
    ("dill", UNPICKLE),
    ("distutils", SHELL),
    ("doctest", CODE),
    ("ensurepip", DOWNLOAD),
    ("fileinput", FILES),
    ("ftplib", NETWORK),
    ("functools", INDIRECT),
    ("gc", SYSTEM),
    ("glob", FILES),
    ("http", NETWORK),
    ("idlelib", DEBUGGER),
    ("imaplib", NETWORK),
    ("imp", IMPORT),
    ("importlib", IMPORT),
    ("inspect", LOOKUP),
    ("io", FILES),
    ("itertools", INDIRECT),
    ("joblib", UNPICKLE),
    ("keras", CODE),
    ("lib2to3", CODE),
    ("linecache", FILES),
    ("logging.config", INDIRECT),
    ("mailcap", SHELL),
    ("marshal", CODE),
    ("mmap", FILES),
    ("multiprocessing", INDIRECT),
    ("nt", SHELL),
    ("numpy.distutils", SHELL),
    ("numpy.f2py", BUILDS),
    ("numpy.fromfile", FILES),
    ("numpy.lib._npyio_impl", UNPICKLE),
    ("numpy.lib.npyio", UNPICKLE),
    ("numpy.load", UNPICKLE),
    ("numpy.memmap", FILES),
    ("numpy.save", FILES),
    ("numpy.savetxt", FILES),
    ("numpy.testing", CODE),
    ("numpy.vectorize", INDIRECT),
    ("operator", LOOKUP),
    ("os", SHELL),
    ("pandas.io.pickle", UNPICKLE),
    ("pandas.read_pickle", UNPICKLE),
    ("pathlib", FILES),
    ("pdb", DEBUGGER),
    ("pexpect", SHELL),
    ("pickle", UNPICKLE),
    ("pip", DOWNLOAD),
    ("pipes", SHELL),
    ("pkg_resources", IMPORT),
    ("pkgutil", IMPORT),
    ("platform", SHELL),
    ("poplib", NETWORK),
    ("posix", SHELL),
    ("posixpath", FILES),
    ("profile", CODE),
    ("psutil", SYSTEM),
    ("pty", SHELL),
    ("pydoc", IMPORT),
    ("requests", NETWORK),
    ("runpy", CODE),
    ("sched", INDIRECT),
    ("setuptools", CODE),
    ("shelve", UNPICKLE),
    ("shutil", FILES),
    ("signal", SYSTEM),
    ("site", IMPORT),
    ("sklearn.utils", INDIRECT),
    ("smtplib", NETWORK),
    ("socket", NETWORK),
    ("socketserver", NETWORK),
    ("sqlite3", NATIVE),
    ("ssl", NETWORK),
    ("subprocess", SHELL),
    ("sys", SYSTEM),
    ("tarfile", FILES),
    ("telnetlib", NETWORK),
    ("tempfile", FILES),
    ("test", CODE),
    ("threading", INDIRECT),
    ("timeit", CODE),
    ("torch._C", NATIVE),
    ("torch._dynamo", BUILDS),
    ("torch._inductor", BUILDS),
    ("torch._utils._import_dotted_name", LOOKUP),
    ("torch.classes", NATIVE),
    ("torch.compile", BUILDS),
    ("torch.fx", BUILDS),
    ("torch.fx.graph_module.reduce_graph_module", BUILDS),
    ("torch.hub", DOWNLOAD),
    ("torch.jit", BUILDS),
    ("torch.jit.load", TORCH_LOAD),
    ("torch.load", TORCH_LOAD),
    ("torch.multiprocessing", INDIRECT),
    ("torch.ops", NATIVE),
    ("torch.ops.load_library", NATIVE),
    ("torch.package", CODE),
    ("torch.save", FILES),
    ("torch.serialization", TORCH_LOAD),
    ("torch.storage._load_from_bytes", TORCH_LOAD),
    ("torch.utils.bottleneck", CODE),
    ("torch.utils.collect_env", SHELL),
    ("torch.utils.cpp_extension", BUILDS),
    ("torch.utils.data.datapipes", INDIRECT),
    ("torch.utils.model_zoo", DOWNLOAD),
    ("trace", CODE),
    ("turtle", SYSTEM),
    ("types", CODE),
    ("unittest", CODE),
    ("urllib", NETWORK),
    ("urllib3", NETWORK),
    ("uuid._get_command_stdout", SHELL),
    ("venv", SHELL),
    ("weakref", INDIRECT),
    ("webbrowser", SHELL),
    ("wsgiref", NETWORK),
    ("xmlrpc", NETWORK),
    ("zipfile", FILES),
    ("zipimport", IMPORT),
];

/// What something with this path is known to do.
pub(super) fn known(path: &str) -> Option<&'static str> {
    let covers = |prefix: &str| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let fitting = KNOWN.iter().filter(|(prefix, _)| covers(prefix));
    fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_gives_the_reason() {
        let check = |path, expected| assert_eq!(known(path), expected, "{path}");
        check("posix.system", Some(SHELL));
        check("builtins.eval", Some(CODE));
        check("builtins.print", Some(SYSTEM));
        check("torch.hub.load", Some(DOWNLOAD));
        check("operating.room", None);
        check("some_package.module.Thing", None);
    }
}
