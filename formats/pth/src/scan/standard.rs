//! The modules of Python itself, which every loader has at hand.
//!
//! What one of them does when it is called is the same everywhere, so it is not merely unknown:
//! unless it is known to do nothing it counts as harm. Gadgets are found in ever new corners of
//! the standard library, and honest checkpoints need hardly any of it.

/// Top-level modules of the standard library and of the tools that come with it, sorted.
///
/// Source: `sys.stdlib_module_names` of CPython 3.11, the modules that releases from 3.8 to 3.14
/// had beside them, and pip and setuptools.
#[rustfmt::skip]
const MODULES: &[&str] = &[
    "__future__", "_abc", "_aix_support", "_ast", "_asyncio", "_bisect", "_blake2", "_bootlocale",
    "_bootsubprocess", "_bz2", "_codecs", "_codecs_cn", "_codecs_hk", "_codecs_iso2022",
    "_codecs_jp", "_codecs_kr", "_codecs_tw", "_collections", "_collections_abc", "_compat_pickle",
    "_compression", "_contextvars", "_crypt", "_csv", "_ctypes", "_curses", "_curses_panel",
    "_datetime", "_dbm", "_decimal", "_distutils_hack", "_dummy_threading", "_elementtree",
    "_frozen_importlib", "_frozen_importlib_external", "_functools", "_gdbm", "_hashlib", "_heapq",
    "_imp", "_interpreters", "_io", "_json", "_locale", "_lsprof", "_lzma", "_markupbase", "_md5",
    "_msi", "_multibytecodec", "_multiprocessing", "_opcode", "_operator", "_osx_support",
    "_overlapped", "_pickle", "_posixshmem", "_posixsubprocess", "_py_abc", "_pydecimal", "_pyio",
    "_pyrepl", "_queue", "_random", "_remote_debugging", "_scproxy", "_sha1", "_sha256", "_sha3",
    "_sha512", "_signal", "_sitebuiltins", "_socket", "_sqlite3", "_sre", "_ssl", "_stat",
    "_statistics", "_string", "_strptime", "_struct", "_symtable", "_testbuffer", "_testcapi",
    "_testimportmultiple", "_testinternalcapi", "_thread", "_threading_local", "_tkinter",
    "_tokenize", "_tracemalloc", "_typing", "_uuid", "_warnings", "_weakref", "_weakrefset",
    "_winapi", "_winreg", "_zoneinfo", "abc", "aifc", "annotationlib", "antigravity", "argparse",
    "array", "ast", "asynchat", "asyncio", "asyncore", "atexit", "audioop", "base64", "bdb",
    "binascii", "binhex", "bisect", "builtins", "bz2", "cProfile", "calendar", "cgi", "cgitb",
    "chunk", "cmath", "cmd", "code", "codecs", "codeop", "collections", "colorsys", "compileall",
    "compression", "concurrent", "configparser", "contextlib", "contextvars", "copy", "copyreg",
    "crypt", "csv", "ctypes", "curses", "dataclasses", "datetime", "dbm", "decimal", "difflib",
    "dis", "distutils", "doctest", "dummy_threading", "email", "encodings", "ensurepip", "enum",
    "errno", "faulthandler", "fcntl", "filecmp", "fileinput", "fnmatch", "formatter", "fractions",
    "ftplib", "functools", "gc", "genericpath", "getopt", "getpass", "gettext", "glob", "graphlib",
    "grp", "gzip", "hashlib", "heapq", "hmac", "html", "http", "idlelib", "imaplib", "imghdr",
    "imp", "importlib", "inspect", "io", "ipaddress", "itertools", "json", "keyword", "lib2to3",
    "linecache", "locale", "logging", "lzma", "macpath", "macurl2path", "mailbox", "mailcap",
    "marshal", "math", "mimetypes", "mmap", "modulefinder", "msilib", "msvcrt", "multiprocessing",
    "netrc", "nis", "nntplib", "nt", "ntpath", "nturl2path", "numbers", "opcode", "operator",
    "optparse", "os", "ossaudiodev", "parser", "pathlib", "pdb", "pickle", "pickletools", "pip",
    "pipes", "pkg_resources", "pkgutil", "platform", "plistlib", "poplib", "posix", "posixpath",
    "pprint", "profile", "pstats", "pty", "pwd", "py_compile", "pyclbr", "pydoc", "pydoc_data",
    "pyexpat", "queue", "quopri", "random", "re", "readline", "reprlib", "resource", "rlcompleter",
    "runpy", "sched", "secrets", "select", "selectors", "setuptools", "shelve", "shlex", "shutil",
    "signal", "site", "smtpd", "smtplib", "sndhdr", "socket", "socketserver", "spwd", "sqlite3",
    "sre_compile", "sre_constants", "sre_parse", "ssl", "stat", "statistics", "string",
    "stringprep", "struct", "subprocess", "sunau", "symbol", "symtable", "sys", "sysconfig",
    "syslog", "tabnanny", "tarfile", "telnetlib", "tempfile", "termios", "test", "textwrap",
    "this", "threading", "time", "timeit", "tkinter", "token", "tokenize", "tomllib", "trace",
    "traceback", "tracemalloc", "tty", "turtle", "turtledemo", "types", "typing", "unicodedata",
    "unittest", "urllib", "uu", "uuid", "venv", "warnings", "wave", "weakref", "webbrowser",
    "winreg", "winsound", "wsgiref", "xdrlib", "xml", "xmlrpc", "zipapp", "zipfile", "zipimport",
    "zlib", "zoneinfo",
];

/// Modules whose classes hold values and no more, so that nothing is lost by calling them unknown.
const OF_VALUES: [&str; 17] = [
    "abc",
    "calendar",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "ipaddress",
    "numbers",
    "queue",
    "random",
    "statistics",
    "string",
    "typing",
    "uuid",
];

/// Single classes and functions that are no more than that.
const VALUES: [&str; 14] = [
    "_io.BytesIO",
    "builtins.Ellipsis",
    "builtins.NotImplementedType",
    "builtins.NoneType",
    "builtins.ellipsis",
    "io.BytesIO",
    "io.StringIO",
    "logging.Logger",
    "logging.getLogger",
    "re._compile",
    "time.struct_time",
    "types.MappingProxyType",
    "types.NoneType",
    "zoneinfo.ZoneInfo._unpickle",
];

/// True if a path leads into Python itself.
pub(super) fn is_standard(path: &str) -> bool {
    let module = path.split('.').next().unwrap_or_default();
    MODULES.binary_search(&module).is_ok()
}

/// True for classes of Python itself that hold values, and for the exceptions.
pub(super) fn is_value(path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once('.') else { return false };
    let is_class = name.starts_with(|c: char| c.is_ascii_uppercase());
    let is_exception = ["Error", "Exception", "Warning"].iter().any(|end| name.ends_with(end));
    VALUES.contains(&path)
        || (is_class && OF_VALUES.contains(&module) && name != "ForwardRef")
        || (is_class && module == "builtins" && is_exception)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_as_the_search_needs_it() {
        assert!(MODULES.is_sorted());
    }

    #[test]
    fn values_are_told_from_what_runs() {
        let check = |path, standard, value| {
            assert_eq!((is_standard(path), is_value(path)), (standard, value), "{path}");
        };
        check("typing.Any", true, true);
        check("enum.IntEnum", true, true);
        check("builtins.ValueError", true, true);
        check("collections.namedtuple", true, false);
        check("collections.OrderedDict.fromkeys", true, false);
        check("logging.FileHandler", true, false);
        check("os.system", true, false);
        check("omegaconf.base.Box", false, false);
        check("typing_of_mine.Any", false, false);
    }
}
