"""Files that mean harm, or look as if they did, written byte by byte; nothing here is ever loaded.

`generate(folder)` writes them and gives one entry a file: its name, its class, the verdict that is
expected, and words that must be in the findings. The payload of every call is the text `true`.
"""

import argparse
import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np

SAFE, UNKNOWN, DANGEROUS, MALFORMED = "safe", "unknown", "dangerous", "malformed"
TRUE = b"X\4\0\0\0true"
CALL = b"cposix\nsystem\n(" + TRUE + b"tR"
NAMED = "posix.system"


def text(value):
    value = value.encode()
    return b"X" + struct.pack("<I", len(value)) + value


def glob(path):
    module, name = path.rsplit(".", 1)
    return f"c{module}\n{name}\n".encode()


def call(path):
    return glob(path) + b"(" + TRUE + b"tR"


def tensor(key="0", count=4):
    """The opcodes of one float tensor over a storage."""
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
            + b"K" + bytes([count]) + b"tQK\0(K" + bytes([count]) + b"t(K\1t\x89ccollections\nOrderedDict\n)RtR")


def state_dict(extra=b"", key="module.w", proto=2):
    """A pickle of one tensor, with more keys and values before the end."""
    return b"\x80" + bytes([proto]) + b"}(" + text(key) + tensor() + extra + b"u."


GOOD = state_dict()
BARE = b"\x80\2" + CALL + b"."


class Member:
    """One member, with every field of both headers open to false values."""

    def __init__(self, name, data, **lies):
        self.name, self.data, self.lies = name.encode() if isinstance(name, str) else name, data, lies

    def bytes(self, at):
        lies, raw = self.lies, self.data
        method = lies.get("method", 0)
        packed = raw if method != 8 else zlib.compress(raw, 9, -15)
        packed += lies.get("after", b"")
        crc, size = lies.get("crc", zlib.crc32(raw)), lies.get("size", len(raw))
        flags = lies.get("flags", 0x800)
        local_name = lies.get("local_name", self.name)
        local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, lies.get("local_flags", flags), lies.get("local_method", method), 0, 0x21,
                            lies.get("local_crc", crc), lies.get("local_packed", len(packed)), lies.get("local_size", size),
                            len(local_name), len(lies.get("local_extra", b"")))
        local += local_name + lies.get("local_extra", b"")
        extra = lies.get("extra", b"")
        central = struct.pack("<4s6H3I5H2I", b"PK\1\2", lies.get("made_by", 20), 20, flags, method, 0, 0x21, crc, len(packed), size,
                              len(self.name), len(extra), 0, lies.get("volume", 0), 0, lies.get("external", 0), lies.get("offset", at)) + self.name + extra
        return local + packed + lies.get("descriptor", b""), central


def archive(*members, prefix=b"", gap=b"", tail=b"", comment=b"", count=None):
    """An archive of members; `gap` is between the last of them and the directory."""
    body, directory = prefix, b""
    for member in members:
        local, central = member.bytes(len(body))
        body, directory = body + local, directory + central
    body += gap
    number = len(members) if count is None else count
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, number, number, len(directory), len(body), len(comment)) + comment
    return body + directory + end + tail


def torch_zip(pickle=GOOD, *more, storage=bytes(16), **options):
    return archive(Member("m/data.pkl", pickle), Member("m/byteorder", b"little"), Member("m/data/0", storage),
                   Member("m/version", b"3\n"), *more, **options)


def npy(descr="'<f4'", shape="(2,)", data=bytes(8), version=(1, 0)):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", len(header)) + header + data


def safetensors(header, data=bytes(16)):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def legacy(spoilt=None, pickle=b"\x80\2" + CALL + b".", tail=b""):
    """The five pickles of PyTorch before 1.6 with one storage; one of them spoilt."""
    persistent = tensor().replace(b"K\4tQ", b"K\4NtQ")
    parts = [b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x80\2M\xe9\3.", b"\x80\2}.",
             b"\x80\2}" + text("w") + persistent + b"s.", b"\x80\2]" + text("0") + b"a."]
    if spoilt is not None:
        parts[spoilt] = parts[spoilt][:2] + CALL + b"0" + parts[spoilt][2:]
    return b"".join(parts) + struct.pack("<q", 4) + bytes(16) + tail


def old_tar(spoilt=None, more=None, extra=(), kind=None):
    """The tar archive of PyTorch 0.1 with one of its members spoilt, changed by `more`, or of another
    kind, and with other members behind."""
    members = {
        "sys_info": b"\x80\2}.", "pickle": b"\x80\2}" + text("w") + text("2") + b"Qs.",
        "tensors": b"\x80\2K\1.\x80\2K\2K\1ctorch\nFloatTensor\n\x87." + struct.pack("<iiqqq", 1, 0, 4, 1, 0),
        "storages": b"\x80\2K\1.\x80\2K\1" + text("cpu") + b"ctorch\nFloatStorage\n\x87." + struct.pack("<q", 4) + bytes(16) + b"\x80\2].",
    }
    if spoilt:
        members[spoilt] = b"\x80\2" + CALL + b"0" + members[spoilt][2:]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in [*members.items(), *extra]:
            data = (more or {}).get(name, lambda data: data)(data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.type = kind if kind and name == "storages" else info.type
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


CALLED = """posix.system nt.system os.popen os.execv os.remove subprocess.Popen subprocess.getoutput builtins.eval builtins.exec
builtins.compile builtins.open builtins.getattr builtins.__import__ builtins.map builtins.filter builtins.print
builtins.breakpoint runpy.run_module importlib.import_module importlib.reload imp.load_source pty.spawn socket.create_connection
shutil.rmtree shutil.copy ctypes.CDLL ctypes.cdll.LoadLibrary torch.load torch.save torch.hub.load torch.hub.load_state_dict_from_url
torch.jit.load torch.jit.unsupported_tensor_ops.execWrapper torch.storage._load_from_bytes torch.serialization.load
torch.utils.collect_env.run torch.utils.bottleneck.__main__.run_cprofile torch._dynamo.guards.GuardBuilder.get
torch._inductor.codecache.compile_file torch.fx.graph_module.reduce_graph_module torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression
torch.ops.load_library torch.package.PackageImporter torch.utils.cpp_extension.load_inline torch.utils.data.datapipes.utils.decoder.basichandlers
torch.nn.modules.module.torch.load torch.nn.functional.relu torch.distributed.init_process_group
numpy.load numpy.testing._private.utils.runstring numpy.f2py.crackfortran.getlincoef numpy.core._multiarray_umath.fromfile numpy.vectorize
pip._internal.main pip.main pickle.loads _pickle.loads marshal.loads dill.loads joblib.load cloudpickle.loads code.interact
code.InteractiveInterpreter codeop.compile_command timeit.timeit cProfile.run profile.run pdb.run bdb.Bdb trace.Trace types.FunctionType types.CodeType
operator.attrgetter operator.methodcaller functools.partial functools.reduce itertools.starmap urllib.request.urlopen requests.get http.client.HTTPConnection
webbrowser.open asyncio.create_subprocess_shell multiprocessing.Process threading.Thread signal.signal sys.setprofile gc.get_objects
inspect.getattr_static logging.config.dictConfig doctest.debug_script idlelib.run.Executive pydoc.pipepager pydoc.locate ensurepip._run_pip lib2to3.pgen2.pgen.ParserGenerator
site.addpackage tempfile.mktemp zipimport.zipimporter sqlite3.connect linecache.getline
keras.models.load_model copyreg.add_extension uuid._get_command_stdout
_io.FileIO pathlib.Path.write_text collections.namedtuple torch.Tensor.apply_ torch.Size.__class__ _codecs.decode weakref.finalize""".split()

# Classes of packages that weights-only loading does not know, and helpers that put such together again.
UNKNOWN_CLASSES = """some_package.Thing __main__.Net transformers.trainer.TrainingArguments ultralytics.nn.tasks.DetectionModel
sklearn.ensemble.RandomForest torch.optim.sgd.SGD torch.nn.modules.linear.Linear numpy.random._pickle.__randomstate_ctor
pandas._libs.internals._unpickle_block omegaconf.dictconfig.DictConfig my_project.train.Mode enum.IntEnum typing.Any""".split()

SPELLINGS = {
    "reduce_protocol_0": b"cposix\nsystem\n(Vtrue\ntR",
    "reduce_python_2_name": b"c__builtin__\neval\n(" + TRUE + b"tR",
    "inst": b"(" + TRUE + b"iposix\nsystem\n",
    "obj": b"(cposix\nsystem\n" + TRUE + b"o",
    "newobj": b"cposix\nsystem\n" + TRUE + b"\x85\x81",
    "newobj_ex": b"cposix\nsystem\n" + TRUE + b"\x85}\x92",
    "stack_global": b"\x8c\5posix\x8c\6system\x93" + TRUE + b"\x85R",
    "stack_global_long": b"\x8d\5\0\0\0\0\0\0\0posixX\6\0\0\0system\x93" + TRUE + b"\x85R",
    "stack_global_strings": b"U\5posixT\6\0\0\0system\x93" + TRUE + b"\x85R",
    "stack_global_escaped": b"S'p\\157si\\x78'\nVs\\u0079stem\n\x93" + TRUE + b"\x85R",
    "stack_global_memo": b"\x8c\6systemq\x50\x8c\5posixq\x51\x30\x30h\x51h\x50\x93" + TRUE + b"\x85R",
    "stack_global_text_memo": b"\x8c\6systemp90\n\x8c\5posixp91\n00g91\ng90\n\x93" + TRUE + b"\x85R",
    "stack_global_memo_rebound": b"\x8c\5torchq\x50\x8c\5posixq\x50\x30\x30h\x50\x8c\6system\x93" + TRUE + b"\x85R",
    "stack_global_swapped_marks": b"(\x8c\5posix\x8c\6system\x93" + b"(" + TRUE + b"tR1" + CALL,
    "stack_global_dup": b"\x8c\5posix\x32\x30\x8c\6system\x93" + TRUE + b"\x85R",
    "global_memo": b"cposix\nsystem\nr\1\2\0\0\x30j\1\2\0\0(" + TRUE + b"tR",
    "global_dup": b"cposix\nsystem\n\x32(" + TRUE + b"tR\x30",
    "never_called": b"cposix\nsystem\n",
    "popped": b"cposix\nsystem\n(" + TRUE + b"tR0N",
    "in_a_set": b"\x8f(" + CALL + b"\x90",
    "in_a_frozenset": b"(" + CALL + b"\x91",
    "in_a_list_of_lists": b"]](" + CALL + b"ea",
    "as_a_persistent_id": CALL + b"0" + b"N",
    "arguments_from_a_call": b"cposix\nsystem\nccollections\nCounter\n)R\x85R",
    "long_padding": text("x" * 70000) + b"0" + CALL,
    "frame_that_lies": b"\x95\xff\xff\0\0\0\0\0\0" + CALL,
    "proto_again": b"\x80\5\x80\0" + CALL,
    "through_setstate": b"ccollections\nOrderedDict\n)R}" + text("__setstate__") + b"cposix\nsystem\nsb" + TRUE + b"b",
    "through_slots": b"ctorch.nn.parameter\nParameter\n(N}" + text("__init__") + b"cposix\nsystem\nstb",
    "through_type_v2": b"ctorch._tensor\n_rebuild_from_type_v2\n(cposix\nsystem\nctorch\nTensor\n" + TRUE + b"\x85}tR",
    "through_defaultdict": b"ccollections\ndefaultdict\n(cposix\nsystem\ntR",
    "through_reconstructor": b"ccopyreg\n_reconstructor\n(cposix\nsystem\nc__builtin__\nobject\nNtR",
    "through_numpy": b"cnumpy._core.multiarray\nscalar\n(cposix\nsystem\n" + TRUE + b"tR",
    "two_calls_of_one": CALL + b"0" + CALL,
}

OBSCURE = {
    "ext1": (b"\x82\1(" + TRUE + b"tR", "extension 1"),
    "ext2": (b"\x83\1\1(" + TRUE + b"tR", "extension 257"),
    "ext4": (b"\x84\1\0\1\0(" + TRUE + b"tR", "extension 65537"),
    "ext_only": (b"\x82\7", "extension 7"),
    "getattr_chain": (b"c__builtin__\ngetattr\n(cos\npath\n" + text("os") + b"tR", ".getattr"),
    "attrgetter_chain": (b"coperator\nattrgetter\n" + text("system") + b"\x85Rcos\npath\n\x85R", "operator.attrgetter"),
    "dotted": (b"\x8c\5torch\x8c\x17serialization.os.system\x93" + TRUE + b"\x85R", "torch.serialization.os.system"),
    "dotted_builtins": (b"\x8c\x0bcollections\x8c\x18OrderedDict.__init__.xyz\x93)R", "OrderedDict.__init__"),
    "computed_name": (b"\x8c\5posixc_codecs\nencode\n\x8c\6flfgrz\x8c\5rot13\x86R\x93" + TRUE + b"\x85R", "posix.<computed>"),
    "computed_module": (b"c_codecs\nencode\n\x8c\5cbfvk\x8c\5rot13\x86R\x8c\6system\x93" + TRUE + b"\x85R", "<computed>.system"),
    "result_called": (b"ccollections\nOrderedDict\n)R" + TRUE + b"\x85R", "what collections.OrderedDict returned"),
    "build_on_a_class": (b"ctorch.nn.parameter\nParameter\n(N}" + text("x") + b"Nstb", "changes torch.nn.parameter.Parameter"),
    "build_on_a_function": (b"ctorch._utils\n_rebuild_parameter\n}" + text("__code__") + b"Nsb", "changes torch._utils._rebuild_parameter"),
    "space_in_name": (b"ctorch._utils \n_rebuild_tensor_v2\n", "torch._utils ._rebuild_tensor_v2"),
    "look_alike_module": (b"ctorch._ut\xd1\x96ls\n_rebuild_tensor_v2\n", "_rebuild_tensor_v2"),
}

UNKNOWN_USES = {
    "built": (b"csome\nCls\n)R}" + text("x") + TRUE + b"sb", "some.Cls"),
    "made": (b"csome\nCls\n)\x81}b", "some.Cls"),
    "nested": (b"cbuiltins\ngetattr\ncsome\nOuter\n" + text("Inner") + b"\x86R)\x81}b", "some.Outer.Inner"),
    "kept": (b"cfunctools\npartial\ncsome\nhelper\n\x85R(csome\nhelper\n)}Ntb", "functools.partial"),
    "python_2": (b"c__builtin__\nset\n", "__builtin__.set"),
}


def unusual_and_safe():
    """Extra keys and values for a state dict, all of them admitted or inert."""
    numpy_array = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85c_codecs\nencode\n(" + text("b") + text("latin1") + b"tRtR"
    values = {
        "key_builtins_eval": text("builtins.eval") + tensor(), "key_os_system": text("os.system") + text("subprocess.Popen"),
        "text_of_a_pickle": text("x") + text("cposix\nsystem\n(X\4\0\0\0truetR."),
        "huge_memo": text("x") + b"]r\xff\xff\xff\xff", "rebound_memo": text("x") + b"]q\0q\0",
        "namespace": text("x") + b"cargparse\nNamespace\n)\x81}" + text("lr") + b"K\1sb", "counter": text("x") + b"ccollections\nCounter\n}\x85R",
        "set": text("x") + b"c__builtin__\nset\n]\x85R", "complex": text("x") + b"c__builtin__\ncomplex\n(K\1K\2tR", "array": text("x") + numpy_array,
        "defaultdict": text("x") + b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85R", "path": text("x") + b"cpathlib\nPosixPath\n" + text("a") + b"\x85R",
        "module": text("x") + b"ctorch.nn.modules.linear\nLinear\n)\x81}" + text("training") + b"\x88sb", "device": text("x") + b"ctorch\ndevice\n" + text("cpu") + b"\x85R",
        "date": text("x") + b"cdatetime\ndatetime\nc_codecs\nencode\nX\x0b\0\0\0\x07\xc3\xa8\1\1\0\0\0\0\0\0" + text("latin1") + b"\x86R\x85R", "dtype": text("x") + b"ctorch\nfloat32\n",
        "layout": text("x") + b"ctorch.serialization\n_get_layout\n" + text("torch.strided") + b"\x85R", "size": text("x") + b"ctorch\nSize\n(K\1K\2t\x85R",
        "long_text": text("x") + text("os.system " * 20000), "proto_again": text("x") + b"\x80\2K\1",
    }
    return values


class Files:
    def __init__(self, folder):
        self.folder, self.entries = folder, []

    def add(self, kind, name, data, verdict, *words):
        with open(os.path.join(self.folder, name), "wb") as file:
            file.write(data)
        self.entries.append({"file": name, "class": kind, "verdict": verdict, "words": list(words)})


def generate(folder):
    os.makedirs(folder, exist_ok=True)
    files = Files(folder)
    for family in (calls, spellings, places, pickles, zips, arrays, headers, lookalikes):
        family(files)
    return files.entries


def calls(files):
    for path in CALLED:
        files.add("call", f"call_{path}.pth", torch_zip(state_dict(text("x") + call(path))), DANGEROUS, path)
    for path in UNKNOWN_CLASSES:
        files.add("unknown", f"unknown_{path}.pth", torch_zip(state_dict(text("x") + call(path))), UNKNOWN, path)
    for name, (opcodes, expected) in UNKNOWN_USES.items():
        files.add("unknown", f"unknown_{name}.pth", torch_zip(state_dict(text("x") + opcodes, proto=4)), UNKNOWN, expected)
    for path in ("posix.system", "builtins.eval", "torch.load"):
        files.add("call", f"bare_{path}.pkl", b"\x80\2" + call(path) + b".", DANGEROUS, path)


def spellings(files):
    for name, opcodes in SPELLINGS.items():
        for proto in (2, 4):
            expected = "builtins.eval" if proto == 2 else "__builtin__.eval"
            expected = expected if "python_2" in name else NAMED
            files.add("spelling", f"spelled_{name}_{proto}.pth", torch_zip(state_dict(text("x") + opcodes, proto=proto)), DANGEROUS, expected)
        files.add("spelling", f"spelled_{name}.bin", b"\x80\4" + opcodes + b".", DANGEROUS, expected)
    for name, (opcodes, expected) in OBSCURE.items():
        files.add("spelling", f"obscure_{name}.pth", torch_zip(state_dict(text("x") + opcodes, proto=4)), DANGEROUS, expected)
        files.add("spelling", f"obscure_{name}.pkl", b"\x80\4" + opcodes + b".", DANGEROUS, expected)
    for name, end in {"unknown_opcode": b"\xff", "cut_text": b"X\xff\xff\xff\xffab", "no_stop": b"", "underflow": b"00000R.", "bad_utf8": b"X\1\0\0\0\xff.",
                      "missing_memo": b"h\x77.", "bad_number": b"Ix\n."}.items():
        files.add("spelling", f"before_{name}.pth", torch_zip(b"\x80\2" + CALL + end), DANGEROUS, NAMED)
        files.add("spelling", f"before_{name}.pkl", b"\x80\2" + CALL + end, DANGEROUS, NAMED)


def places(files):
    add = lambda name, data: files.add("place", f"place_{name}", data, DANGEROUS, NAMED)
    odd = ["m/readme.txt", "m/data/0.bak", "m/.data/serialization_id", "m/data/1", "m/code/x.py", "m/weights", "m/\u00e9", "m/x.PKL", "m/DATA.PKL", "m/sub/data.pkl"]
    for i, name in enumerate(odd):
        add(f"odd_{i}.pth", torch_zip(GOOD, Member(name, BARE)))
    add("text_protocol.pth", torch_zip(GOOD, Member("m/notes.txt", b"cposix\nsystem\n(S'true'\ntR.")))
    add("text_inst.pth", torch_zip(GOOD, Member("m/notes.txt", b"(S'true'\niposix\nsystem\n.")))
    add("second_after_stop.pth", torch_zip(GOOD + BARE))
    add("third_after_stop.pth", torch_zip(GOOD + b"\x80\2N." + BARE))
    add("behind_junk_after_stop.pth", torch_zip(GOOD + b"\xff" * 50 + BARE))
    add("behind_padding_after_stop.pth", torch_zip(GOOD + bytes(70000) + BARE))
    add("duplicate_first.pth", archive(Member("m/data.pkl", BARE), Member("m/data.pkl", GOOD), Member("m/data/0", bytes(16)), Member("m/version", b"3\n")))
    add("other_root.pth", torch_zip(GOOD, Member("n/data.pkl", BARE)))
    add("deflated.pth", torch_zip(GOOD, Member("m/x.txt", BARE, method=8)))
    add("deflated_pickle.pth", archive(Member("m/data.pkl", state_dict(text("x") + CALL), method=8), Member("m/data/0", bytes(16)), Member("m/version", b"3\n")))
    add("as_byteorder.pth", archive(Member("m/data.pkl", GOOD), Member("m/byteorder", BARE), Member("m/data/0", bytes(16)), Member("m/version", b"3\n")))
    add("as_storage.pth", torch_zip(GOOD, storage=(BARE + bytes(16))[:max(16, len(BARE))]))
    add("constants.pth", torch_zip(GOOD, Member("m/constants.pkl", BARE)))
    inner = torch_zip(state_dict(text("x") + CALL))
    add("nested.pth", torch_zip(GOOD, Member("m/inner.zip", inner)))
    add("nested_deflated.pth", torch_zip(GOOD, Member("m/inner", inner, method=8)))
    add("nested_twice.pth", torch_zip(GOOD, Member("m/x", archive(Member("y", inner, method=8)))))
    add("gzip_member.pth", torch_zip(GOOD, Member("m/x.gz", gzip.compress(BARE))))
    add("gzip.pkl", gzip.compress(BARE))
    add("zlib.joblib", zlib.compress(BARE))
    add("gap.pth", torch_zip(gap=BARE))
    add("gap_of_junk.pth", torch_zip(gap=b"\x80" * 1000 + BARE))
    add("dead_member.pth", torch_zip(gap=Member("m/data.pkl", BARE).bytes(0)[0]))
    add("dead_member_in_text.pth", torch_zip(gap=Member("m/data.pkl", b"cposix\nsystem\n(S'true'\ntR.").bytes(0)[0]))
    add("behind_the_archive.pth", torch_zip(tail=BARE))
    add("in_the_comment.pth", torch_zip(comment=BARE))
    add("no_directory_deflated.pth", archive(Member("m/data.pkl", state_dict(text("x") + CALL), method=8))[:300])
    add("overlapping_deflated.pth", torch_zip(GOOD, Member("m/x", state_dict(text("x") + CALL), method=8), Member("m/y", b"x", offset=1)))
    add("wrong_crc.pth", archive(Member("m/data.pkl", state_dict(text("x") + CALL), crc=1), Member("m/data/0", bytes(16)), Member("m/version", b"3\n")))
    add("other_local_name.pth", archive(Member("m/data.pkl", state_dict(text("x") + CALL), local_name=b"m/data.txt"), Member("m/data/0", bytes(16)), Member("m/version", b"3\n")))
    add("flagged_encrypted.pth", archive(Member("m/data.pkl", state_dict(text("x") + CALL), flags=0x801), Member("m/data/0", bytes(16)), Member("m/version", b"3\n")))
    add("cut_short.pth", torch_zip(state_dict(text("x") + CALL))[:-10])
    add("no_directory.pth", torch_zip(state_dict(text("x") + CALL))[:700])
    add("pickle_before_zip.pth", torch_zip(prefix=b"\x80\2" + CALL + b"."))
    add("zip_behind_a_pickle.bin", b"\x80\2N." + torch_zip(state_dict(text("x") + CALL)))
    add("zip_behind_safetensors.safetensors", safetensors({"w": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}, torch_zip(state_dict(text("x") + CALL))))
    for i in range(5):
        add(f"legacy_{i}.pth", legacy(i))
    add("legacy_behind.pth", legacy(tail=BARE))
    for name in ("sys_info", "pickle", "tensors", "storages"):
        add(f"old_{name}.tar", old_tar(name))
    add("old_storages_behind.tar", old_tar(more={"storages": lambda data: data + BARE}))
    add("old_behind.tar", old_tar() + BARE)
    add("old_member_99.tar", old_tar(extra=[(f"x{i}", b"x") for i in range(95)] + [("y", BARE)]))
    add("text_protocol.bin", b"cposix\nsystem\n(S'true'\ntR.")
    add("text_inst.pkl", b"(S'true'\niposix\nsystem\n.")
    objects = npy("'|O'", "(1,)", BARE)
    add("object.npy", objects)
    add("object.npz", archive(Member("a.npy", objects)))
    add("object_odd_name.npz", archive(Member("w.npy", npy()), Member("notes", objects)))
    add("object_deflated.npz", archive(Member("w.npy", npy()), Member("a.npy", objects, method=8)))
    add("object_in_a_record.npz", archive(Member("a.npy", npy("[('x', '|O')]", "(1,)", BARE))))
    add("object_spelled_short.npz", archive(Member("a.npy", npy("'O'", "(1,)", BARE))))
    add("object_version_2.npz", archive(Member("a.npy", npy("'|O'", "(1,)", BARE, (2, 0)))))
    add("object_duplicate.npz", archive(Member("a.npy", npy()), Member("a.npy", objects)))
    for spelled in ("'>O'", "'<O8'", '"O"', "[('a', ('|O', (2,)))]", "[('a', [('b', 'O')])]"):
        # Deflated, and with the call far from the front, so that a look at the front is not enough.
        late = b"\x80\2](" + text("y" * 200) * 3000 + CALL + b"e."
        add(f"object_late_{len(spelled)}.npz", archive(Member("a.npy", npy(spelled, "(1,)", late), method=8)))
    add("object_behind_zeros.npz", archive(Member("a.npy", npy("'|O'", "(1,)", b"\x80\2]N." + bytes(8) + BARE))))
    add("object_second_array.npy", npy() + objects)
    add("object_in_torch.pth", torch_zip(GOOD, Member("m/x.npy", objects)))
    add("pickle_in_npz.npz", archive(Member("w.npy", npy()), Member("data", BARE)))
    files.add("place", "place_torchscript_code.pt", torch_zip(GOOD, Member("m/constants.pkl", b"\x80\2)."), Member("m/code/__torch__.py", b"def forward(self):\n  torch.save(x, 'f')\n")), DANGEROUS, "torch.save")
    shard = "place_shard.safetensors.bin"
    add(shard, torch_zip(state_dict(text("x") + CALL, key="w")))
    add("sharded.bin.index.json", json.dumps({"metadata": {}, "weight_map": {"w": f"place_{shard}", "x": f"place_{shard}"}}).encode())


UNREADABLE = {
    "protocol": b"\x80\6N", "frame": b"\x95\xff\xff\0\0\0\0\0\0N", "called_number": b"K\1)R", "called_text": text("os") + b")R", "called_none": b"NNR",
    "no_arguments": b"ccollections\nCounter\nNR", "list_as_key": b"}]Ns", "dict_in_a_set": b"\x8f(}\x90", "list_in_a_tuple_as_key": b"}]\x85Ns",
    "ordered_dict_as_key": b"}ccollections\nOrderedDict\n)RNs", "key_without_value": b"}(K\1u", "append_to_a_dict": b"}Na", "append_to_a_number": b"K\1(Ne",
    "entry_in_a_tuple": b")NNs", "member_of_a_list": b"](N\x90", "filled_number": b"K\1}b", "filled_dict": b"}}b", "ordered_dict_filled_with_a_number": b"ccollections\nOrderedDict\n)RK\1b",
    "name_of_numbers": b"K\1K\2\x93", "name_of_bytes": b"C\2osC\1x\x93", "name_no_utf8": b"c\xff\nx\n", "extension_0": b"\x82\0", "buffer": b"\x97", "read_only_none": b"N\x98",
    "no_quotes": b"Sabc\n", "half_a_quote": b"S'abc\n", "bad_escape": b"S'\\x1'\n", "short_unicode_escape": b"V\\u12\n", "int": b"Iabc\n", "long": b"L\n", "float": b"Fabc\n",
    "negative_memo": b"]p-1\n", "memo_never_put": b"h\xee", "below_a_mark": b"K\1)(R", "no_mark": b"]ee",
}


def pickles(files):
    for name, opcodes in UNREADABLE.items():
        for proto in (2, 4):
            files.add("pickle", f"pickle_{name}_{proto}.pth", torch_zip(state_dict(text("x") + opcodes, proto=proto)), MALFORMED)
        files.add("pickle", f"pickle_{name}.pkl", b"\x80\4(" + opcodes + b"t.", MALFORMED)
        files.add("pickle", f"pickle_{name}.npz", archive(Member("a.npy", npy("'|O'", "(1,)", b"\x80\4(" + opcodes + b"t."))), MALFORMED)
    spare = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("5") + text("cpu") + b"K\4tQ"
    files.add("pickle", "pickle_spare_storage_missing.pth", torch_zip(state_dict(text("x") + spare)), MALFORMED, "storage '5'")
    files.add("pickle", "pickle_spare_storage_short.pth", torch_zip(state_dict(text("x") + spare), Member("m/data/5", b"abc")), MALFORMED, "storage '5'")
    files.add("pickle", "pickle_rebuilt_from_four.pth", torch_zip(GOOD.replace(b"\x89ccollections\nOrderedDict\n)Rt", b"t")), MALFORMED, "4 arguments")
    files.add("pickle", "pickle_gradient_text.pth", torch_zip(GOOD.replace(b"\x89cc", text("x") + b"cc")), MALFORMED, "requires_grad")
    files.add("pickle", "pickle_located_by_number.pth", torch_zip(GOOD.replace(text("cpu"), b"K\1")), MALFORMED)
    files.add("pickle", "pickle_six_parts.pth", torch_zip(GOOD.replace(b"K\4tQ", b"K\4NtQ")), MALFORMED, "6 parts")
    files.add("pickle", "pickle_legacy_version.pth", legacy().replace(b"M\xe9\3", b"M\xe8\3"), MALFORMED, "version")
    files.add("look-alike", "safe_lone_surrogate.pth", torch_zip(state_dict(text("x") + b"X\3\0\0\0\xed\xa0\x80")), SAFE)
    files.add("look-alike", "safe_text_protocol_literals.pth", torch_zip(state_dict(text("x") + b"(lp90\nI01\naI-7\naL5L\naF1.5\naS'a\\n'\naV\\u0041\nag90\na", proto=1)), SAFE)
    files.add("look-alike", "safe_bytes_of_a_pickle.pth", torch_zip(state_dict(text("x") + b"B" + struct.pack("<I", len(BARE)) + BARE, proto=3)), SAFE)
    files.add("pickle", "pickle_dup.pth", torch_zip(state_dict(text("x") + b"K\1\x32\x30")), MALFORMED, "opcode 0x32")
    files.add("pickle", "pickle_bytes_in_protocol_2.pth", torch_zip(state_dict(text("x") + b"B\1\0\0\0\xff")), MALFORMED, "opcode 0x42")
    files.add("pickle", "pickle_python_2_bytes.pth", torch_zip(state_dict(text("x") + b"U\1\xff")), MALFORMED, "UTF-8")
    files.add("look-alike", "safe_value_left.pth", torch_zip(b"\x80\2(" + GOOD[2:]), SAFE)


def zips(files):
    add = lambda name, data, *words: files.add("zip", f"zip_{name}", data, MALFORMED, *words)
    good = lambda **lies: torch_zip(GOOD, Member("m/extra", b"data", **lies))
    add("local_name.pth", good(local_name=b"m/extrb"), "m/extrb")
    add("local_method.pth", good(local_method=8), "method")
    add("local_crc.pth", good(local_crc=7), "checksum")
    add("local_size.pth", good(local_size=3), "size")
    add("local_packed.pth", good(local_packed=3), "size")
    add("local_flags.pth", good(local_flags=0x801), "flags")
    add("crc.pth", good(crc=7), "checksum")
    add("crc_deflated.pth", good(crc=7, method=8), "checksum")
    add("size_deflated.pth", good(method=8, size=9, local_size=9), "inflates")
    add("more_than_it_says.pth", good(method=8, size=2, local_size=2), "inflates")
    add("bytes_after_deflate.pth", good(method=8, after=b"hidden"), "bytes follow")
    add("method_99.pth", good(method=99), "method 99")
    add("descriptor_lies.pth", good(flags=0x808, descriptor=b"PK\7\x08" + struct.pack("<3I", 1, 2, 3)), "descriptor")
    add("overlap.pth", torch_zip(GOOD, Member("m/extra", GOOD, offset=0)), "overlap")
    whole = torch_zip()
    add("two_ends.pth", whole + b"junk" + b"PK\5\6" + b"\xff" * 18, "end")
    add("count.pth", torch_zip(count=3))
    add("unicode_path.pth", good(extra=b"up" + struct.pack("<HBI", 5 + 7, 1, 0) + b"m/other"), "m/other")
    add("link.pth", good(made_by=0x0314, external=0o120777 << 16), "link")
    add("folder_with_bytes.pth", torch_zip(GOOD, Member("m/sub/", b"data")), "folder")
    add("folder_by_its_attributes.pth", good(external=0x10), "folder")
    add("volume.pth", good(volume=1), "volume")
    add("extra_cut.pth", good(extra=b"\1\0\xff\xff"), "extra")
    add("local_extra_cut.pth", good(local_extra=b"\1\0\xff\xff"), "extra")
    add("comment_cut.pth", torch_zip()[:-2] + b"\5\0", "comment")
    add("empty.pth", archive(), "empty")
    add("no_version.pth", archive(Member("m/data.pkl", GOOD), Member("m/data/0", bytes(16))), "version")
    for i, version in enumerate([b"", b"x", b"-1\n", b"0\n", b"99\n", b"99999999999999999999\n"]):
        add(f"version_{i}.pth", archive(Member("m/data.pkl", GOOD), Member("m/data/0", bytes(16)), Member("m/version", version)), "version")
    add("bomb_of_a_storage.pth", torch_zip(state_dict(text("x") + tensor("1").replace(b"K\4", b"J\0\0\0\2")), Member("m/data/1", bytes(128 << 20), method=8)), "limit")
    add("tar_link.tar", old_tar(kind=tarfile.SYMTYPE), "link")
    add("tar_climbs.tar", old_tar(extra=[("../x", b"x")]), "climbs")
    add("tar_twice.tar", old_tar(extra=[("pickle", b"\x80\2}.")]), "two members")
    for i, name in enumerate(["../x", "m/../../x", "/etc/x", "m/..", "C:\\x", "m\\..\\..\\x", "..\\x", "m/a\0b"]):
        add(f"climb_{i}.pth", torch_zip(GOOD, Member(name, b"x")))
    add("climb.npz", archive(Member("../w.npy", npy())), "climbs")
    add("duplicate.pth", torch_zip(GOOD, Member("m/version", b"3\n")), "m/version")
    add("duplicate.npz", archive(Member("a.npy", npy()), Member("a.npy", npy())), "a.npy")
    add("bomb_of_data.pth", archive(Member("m/data.pkl", b"\x80\2" + b"N0" * (40 << 20) + b"N.", method=8), Member("m/version", b"3\n")), "over")
    add("bomb_beside.pth", torch_zip(GOOD, Member("m/x", bytes(100 << 20), method=8)), "limit")
    deep = archive(Member("x", b"x"))
    for _ in range(8):
        deep = archive(Member("x.zip", deep))
    add("deep.pth", torch_zip(GOOD, Member("m/deep", deep)), "deep")
    add("storage_short.pth", torch_zip(storage=bytes(12)), "storage")
    add("storage_long.pth", torch_zip(storage=bytes(20)), "storage")
    add("behind_text.npz", b"hello" + archive(Member("a.npy", npy())))
    add("waste.pth", torch_zip(gap=b"\x80\2(" * 60000), "limit")


def arrays(files):
    add = lambda name, data: files.add("npy", f"npy_{name}.npz", archive(Member("a.npy", data)), MALFORMED)
    add("short", npy(data=bytes(4)))
    add("overflow", npy(shape="(4294967296, 4294967296)"))
    add("negative", npy(shape="(-1,)"))
    add("expression", npy(shape="(1+1,)"))
    add("call", npy(descr="__import__('os')"))
    add("version", npy(version=(7, 0)))
    add("list", npy(shape="[2]"))
    add("unclosed", npy(shape="(2"))
    add("object_pickle_cut", npy("'|O'", "(1,)", b"\x80\4X\xff"))
    add("no_array", b"hello")
    add("empty", b"")
    add("bytes_behind", npy(data=bytes(9)))
    add("key_twice", npy(shape="(1,), 'shape': (2,)"))
    add("octal", npy(shape="(02,)"))
    add("dimensions", npy(shape="(" + "1," * 65 + ")"))
    add("huge_and_empty", npy(shape="(0, 9223372036854775807, 4)", data=b""))
    add("field_twice", npy("[('a', '<f4'), ('a', '<f4')]", data=bytes(16)))
    files.add("npy", "npy_deflated_bytes_behind.npz", archive(Member("a.npy", npy(shape="(40000,)", data=bytes(160001)), method=8)), MALFORMED, "follow the array")
    files.add("npy", "npy_alone_bytes_behind.npy", npy(data=bytes(9)), MALFORMED, "follow the array")
    files.add("look-alike", "safe_two_arrays.npy", npy() + npy(), SAFE)
    files.add("look-alike", "safe_padded_record.npz", archive(Member("a.npy", npy("[('a', '<f4'), ('', '|V4'), ('b', '<f4'), ('', '|V4')]", data=bytes(32)))), SAFE)
    files.add("npy", "npy_alone_short.npy", npy(data=bytes(4)), MALFORMED)


def headers(files):
    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    add = lambda name, header, data=bytes(16): files.add("safetensors", f"st_{name}.safetensors", safetensors(header, data), MALFORMED)
    add("duplicate", b'{"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"w":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}')
    add("duplicate_same", b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')
    add("metadata_twice", b'{"__metadata__":{},"__metadata__":{}}', b"")
    add("metadata_number", {"__metadata__": {"a": 1}, "w": one})
    add("overlap", {"a": {"dtype": "U8", "shape": [10], "data_offsets": [0, 10]}, "b": {"dtype": "U8", "shape": [8], "data_offsets": [8, 16]}})
    add("alias", {"a": one, "b": one})
    add("hole", {"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, "b": {"dtype": "U8", "shape": [8], "data_offsets": [8, 16]}})
    add("backwards", {"w": {"dtype": "U8", "shape": [0], "data_offsets": [16, 0]}})
    add("dtype", {"w": {**one, "dtype": "F31"}})
    add("overflow", {"w": {**one, "shape": [2**32, 2**32]}})
    add("negative", {"w": {**one, "shape": [-4]}})
    add("white_space", b" " + json.dumps({"w": one}).encode())
    add("bom", b"\xef\xbb\xbf" + json.dumps({"w": one}).encode())
    add("not_utf8", b'{"\xff":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')
    add("surrogate", b'{"\\ud800":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')
    add("trailing_text", json.dumps({"w": one}).encode() + b"x")
    add("deep", b'{"w":' + b"[" * 100000 + b"]" * 100000 + b"}")
    add("trailing", {"w": one}, bytes(17))
    add("short", {"w": one}, bytes(15))
    for name, index in {"climbs": {"w": "../w.bin"}, "absolute": {"w": "/etc/passwd"}, "missing": {"w": "nowhere.bin"}, "empty": {}}.items():
        files.add("index", f"index_{name}.bin.index.json", json.dumps({"metadata": {}, "weight_map": index}).encode(), MALFORMED)
    files.add("index", "index_twice.bin.index.json", b'{"weight_map":{"w":"a.bin","w":"b.bin"}}', MALFORMED)


def lookalikes(files):
    add = lambda name, data: files.add("look-alike", f"safe_{name}", data, SAFE)
    for name, extra in unusual_and_safe().items():
        add(f"{name}.pth", torch_zip(state_dict(extra)))
    add("prose.pth", torch_zip(GOOD, Member("m/README.md", b"cos\nsystem\nis how a pickle spells os.system; see posix.system.\n")))
    add("labels.pth", torch_zip(GOOD, Member("m/labels.txt", b"cat\ndog\nRabbit\ncow\nibex\n.\n")))
    add("code.pth", torch_zip(GOOD, Member("m/train.py", b"import os\nos.system('true')\neval('1')\n")))
    add("storage_like_a_pickle.pth", torch_zip(storage=b"\x80\2cab\ncd\xff\nq\0\0.\0\0"))
    add("storage_like_a_zip.pth", torch_zip(storage=b"PK\7\x08" + bytes(12)))
    add("bytes_in_a_storage.pth", torch_zip(storage=b"cposix\nsystem\n))"))
    large = np.random.default_rng(0).bytes(1 << 20) * 40
    add("large_and_deflated.pth", torch_zip(state_dict(text("x") + tensor("1").replace(b"K\4", b"J" + struct.pack("<I", len(large) // 4))), Member("m/data/1", large, method=8)))
    add("no_crc.pth", archive(Member("m/data.pkl", GOOD, crc=0), Member("m/data/0", bytes(16), crc=0), Member("m/version", b"3\n")))
    add("comment.pth", torch_zip(comment=b"made by hand"))
    add("junk_behind.pth", torch_zip(tail=b"\0" * 100))
    add("padding_after_stop.pth", torch_zip(GOOD + b"\0" * 40))
    add("descriptor.pth", torch_zip(GOOD, Member("m/x", b"data", flags=0x808, local_crc=0, local_size=0, local_packed=0,
                                                descriptor=b"PK\7\x08" + struct.pack("<3I", zlib.crc32(b"data"), 4, 4))))
    add("folder_entry.pth", torch_zip(GOOD, Member("m/sub/", b"")))
    appended = torch_zip(GOOD)
    add("dead_bytes.pth", torch_zip(GOOD, gap=Member("m/data.pkl", GOOD).bytes(0)[0]))
    add("old_archive_between.pth", torch_zip(GOOD, gap=appended))
    add("big_and_small.npz", archive(Member("W.npy", npy()), Member("w.npy", npy())))
    out = io.BytesIO()
    np.savez(out, objects=np.array([{"a": 1}, None, "os.system"], dtype=object), date=np.array(["2020-01-01"], dtype="datetime64[D]"))
    add("objects.npz", out.getvalue())
    out = io.BytesIO()
    np.savez_compressed(out, zeros=np.zeros(1 << 24), text=np.array(["os.system"]))
    add("zeros.npz", out.getvalue())
    out = io.BytesIO()
    np.save(out, np.arange(3.0))
    add("array.npy", out.getvalue())
    add("empty.npz", b"PK\5\6" + bytes(18))
    add("legacy.pth", legacy())
    add("old.tar", old_tar())
    add("bare.pkl", b"\x80\2}" + text("os.system") + b"K\1s.")
    add("two_bare.pkl", b"\x80\2N.\x80\2K\1.")
    add("text_bare.pkl", b"\x80\0(dp0\nS'posix'\np1\nS'system'\np2\ns.")
    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    add("os.system.safetensors", safetensors({"__metadata__": {"x": "cposix\nsystem\n(tR."}, "builtins.eval": one}))
    add("metadata_only.safetensors", safetensors({}, b""))
    add("shard.bin", torch_zip(state_dict(key="w")))
    add("sharded.bin.index.json", json.dumps({"metadata": {"total_size": 16}, "weight_map": {"w": "safe_shard.bin"}}).encode())


def admitted(path):
    """A pickle of everything that the weights-only loader of the installed PyTorch admits."""
    from torch._weights_only_unpickler import _get_allowed_globals

    names = sorted(_get_allowed_globals())
    with open(path, "wb") as file:
        file.write(b"\x80\2](" + b"".join(glob(name) for name in names) + b"e.")
    return names


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    print(json.dumps(generate(parser.parse_args().folder)))
