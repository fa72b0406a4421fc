//! The names of Python 2, which Python 3 takes for its own in pickles of protocols below 3.
//!
//! Source: `_compat_pickle` in CPython 3.14, and `find_class` of its `pickle`, which maps names
//! only while the last protocol that the pickle named is below 3.

/// The first protocol whose names are taken as they are.
pub(super) const FIRST_UNMAPPED: u64 = 3;

/// Modules of Python 2 and what became of them, sorted.
const MODULES: &[(&str, &str)] = &[
    ("BaseHTTPServer", "http.server"),
    ("CGIHTTPServer", "http.server"),
    ("ConfigParser", "configparser"),
    ("Cookie", "http.cookies"),
    ("Dialog", "tkinter.dialog"),
    ("DocXMLRPCServer", "xmlrpc.server"),
    ("FileDialog", "tkinter.filedialog"),
    ("HTMLParser", "html.parser"),
    ("Queue", "queue"),
    ("ScrolledText", "tkinter.scrolledtext"),
    ("SimpleDialog", "tkinter.simpledialog"),
    ("SimpleHTTPServer", "http.server"),
    ("SimpleXMLRPCServer", "xmlrpc.server"),
    ("SocketServer", "socketserver"),
    ("StringIO", "io"),
    ("Tix", "tkinter.tix"),
    ("Tkconstants", "tkinter.constants"),
    ("Tkdnd", "tkinter.dnd"),
    ("Tkinter", "tkinter"),
    ("UserDict", "collections"),
    ("UserList", "collections"),
    ("UserString", "collections"),
    ("__builtin__", "builtins"),
    ("_abcoll", "collections.abc"),
    ("_elementtree", "xml.etree.ElementTree"),
    ("_winreg", "winreg"),
    ("anydbm", "dbm"),
    ("cPickle", "pickle"),
    ("cStringIO", "io"),
    ("commands", "subprocess"),
    ("cookielib", "http.cookiejar"),
    ("copy_reg", "copyreg"),
    ("dbhash", "dbm.bsd"),
    ("dbm", "dbm.ndbm"),
    ("dumbdbm", "dbm.dumb"),
    ("dummy_thread", "_dummy_thread"),
    ("gdbm", "dbm.gnu"),
    ("htmlentitydefs", "html.entities"),
    ("httplib", "http.client"),
    ("markupbase", "_markupbase"),
    ("repr", "reprlib"),
    ("robotparser", "urllib.robotparser"),
    ("test.test_support", "test.support"),
    ("thread", "_thread"),
    ("tkColorChooser", "tkinter.colorchooser"),
    ("tkCommonDialog", "tkinter.commondialog"),
    ("tkFileDialog", "tkinter.filedialog"),
    ("tkFont", "tkinter.font"),
    ("tkMessageBox", "tkinter.messagebox"),
    ("tkSimpleDialog", "tkinter.simpledialog"),
    ("ttk", "tkinter.ttk"),
    ("urllib2", "urllib.request"),
    ("urlparse", "urllib.parse"),
    ("whichdb", "dbm"),
    ("xmlrpclib", "xmlrpc.client"),
];

/// Functions and classes of Python 2 that moved on their own, sorted.
const NAMES: &[(&str, &str)] = &[
    ("UserDict.IterableUserDict", "collections.UserDict"),
    ("UserDict.UserDict", "collections.UserDict"),
    ("UserList.UserList", "collections.UserList"),
    ("UserString.UserString", "collections.UserString"),
    ("__builtin__.basestring", "builtins.str"),
    ("__builtin__.intern", "sys.intern"),
    ("__builtin__.long", "builtins.int"),
    ("__builtin__.reduce", "functools.reduce"),
    ("__builtin__.unichr", "builtins.chr"),
    ("__builtin__.unicode", "builtins.str"),
    ("__builtin__.xrange", "builtins.range"),
    ("_multiprocessing.Connection", "multiprocessing.connection.Connection"),
    ("_socket.fromfd", "socket.fromfd"),
    ("exceptions.StandardError", "builtins.Exception"),
    ("itertools.ifilter", "builtins.filter"),
    ("itertools.ifilterfalse", "itertools.filterfalse"),
    ("itertools.imap", "builtins.map"),
    ("itertools.izip", "builtins.zip"),
    ("itertools.izip_longest", "itertools.zip_longest"),
    ("multiprocessing.AuthenticationError", "multiprocessing.context.AuthenticationError"),
    ("multiprocessing.BufferTooShort", "multiprocessing.context.BufferTooShort"),
    ("multiprocessing.ProcessError", "multiprocessing.context.ProcessError"),
    ("multiprocessing.TimeoutError", "multiprocessing.context.TimeoutError"),
    ("multiprocessing.forking.Popen", "multiprocessing.popen_fork.Popen"),
    ("multiprocessing.process.Process", "multiprocessing.context.Process"),
    ("socket._socketobject", "socket.SocketType"),
    ("urllib.ContentTooShortError", "urllib.error.ContentTooShortError"),
    ("urllib.getproxies", "urllib.request.getproxies"),
    ("urllib.pathname2url", "urllib.request.pathname2url"),
    ("urllib.quote", "urllib.parse.quote"),
    ("urllib.quote_plus", "urllib.parse.quote_plus"),
    ("urllib.unquote", "urllib.parse.unquote"),
    ("urllib.unquote_plus", "urllib.parse.unquote_plus"),
    ("urllib.url2pathname", "urllib.request.url2pathname"),
    ("urllib.urlcleanup", "urllib.request.urlcleanup"),
    ("urllib.urlencode", "urllib.parse.urlencode"),
    ("urllib.urlopen", "urllib.request.urlopen"),
    ("urllib.urlretrieve", "urllib.request.urlretrieve"),
    ("urllib2.HTTPError", "urllib.error.HTTPError"),
    ("urllib2.URLError", "urllib.error.URLError"),
    ("whichdb.whichdb", "dbm.whichdb"),
];

/// The path in Python 3 of what a pickle of Python 2 names.
pub(super) fn in_python_3(module: &str, name: &str) -> String {
    let path = format!("{module}.{name}");
    if let Some(moved) = find(NAMES, &path) {
        return moved.into();
    }
    let module = match module {
        // All exceptions went to the same place; those that are gone are not found there either.
        "exceptions" => "builtins",
        module => find(MODULES, module).unwrap_or(module),
    };
    format!("{module}.{name}")
}

/// What a path would be in Python 3 if the protocol had it mapped; `None` if it is Python 3's own.
pub(super) fn of_python_2(path: &str) -> Option<String> {
    let ends = path.match_indices('.').map(|(end, _)| end).filter(|end| *end > 0);
    let parts = ends.map(|end| (&path[..end], &path[end + 1..]));
    let mut mapped = parts.map(|(module, name)| in_python_3(module, name));
    mapped.find(|mapped| mapped != path)
}

fn find<'t>(table: &[(&str, &'t str)], old: &str) -> Option<&'t str> {
    let place = table.binary_search_by(|(name, _)| (*name).cmp(old)).ok()?;
    table.get(place).map(|(_, new)| *new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_as_the_search_needs_it() {
        assert!(MODULES.is_sorted());
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn names_of_python_2_have_their_place_in_python_3() {
        let check = |module, name, expected| assert_eq!(in_python_3(module, name), expected);
        check("__builtin__", "eval", "builtins.eval");
        check("__builtin__", "xrange", "builtins.range");
        check("cPickle", "loads", "pickle.loads");
        check("exceptions", "ValueError", "builtins.ValueError");
        check("itertools", "imap", "builtins.map");
        check("itertools", "chain", "itertools.chain");
        check("collections", "OrderedDict", "collections.OrderedDict");
        assert_eq!(of_python_2("__builtin__.set").as_deref(), Some("builtins.set"));
        assert_eq!(of_python_2("test.test_support.run").as_deref(), Some("test.support.run"));
        assert_eq!(of_python_2("collections.OrderedDict"), None);
    }
}
