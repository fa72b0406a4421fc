"""A checkpoint saved on one system that names the other system's path class in its payload.
After microsoft/ai4g-flood#15 (PosixPath on Windows) and RCVLab-AiimLab/crowd_counting#3 (WindowsPath on Linux).
args is an argparse.Namespace with paths in it, best is a numpy scalar, cfg an OmegaConf.
Expected: a way to a file that loads here with the default torch.load, that keeps what it can (epoch, optimizer);
at the least `--alone`, and a message that names the offending class.
usage: make DIR | check FILE"""
import argparse, pathlib, sys, torch, numpy as np
class Win:
    def __init__(self, p): self.p = p
    def __reduce__(self): return (pathlib.WindowsPath, (self.p,))
if __name__ == "__main__":
    if sys.argv[1] == "make":
        d = pathlib.Path(sys.argv[2]); d.mkdir(parents=True, exist_ok=True); torch.manual_seed(0)
        m = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)))
        o = torch.optim.AdamW(m.parameters()); m(torch.randn(5, 3)).sum().backward(); o.step()
        base = dict(epoch=7, state_dict=m.state_dict(), optimizer=o.state_dict(), best_acc1=np.float64(71.25))
        torch.save({**base, "args": argparse.Namespace(data=Win(r"D:\data\sha"), lr=0.1)}, d / "win.pth.tar")
        torch.save({**base, "args": argparse.Namespace(data=pathlib.PosixPath("/data"), lr=0.1)}, d / "posix.pt")
        try: from omegaconf import OmegaConf
        except ImportError: OmegaConf = None          # the file is left out then
        if OmegaConf: torch.save({**base, "cfg": OmegaConf.create({"a": {"b": [1, 2]}})}, d / "omega.ckpt")
        torch.save({**base, "rng": np.random.get_state(), "np": np.arange(3.0)}, d / "np.pt")
    else:
        f = sys.argv[2]
        try: x = torch.load(f); print("default load:", type(x).__name__, list(x)[:6])
        except Exception as e: print("default load fails:", str(e).splitlines()[0][:90], "|", [l for l in str(e).splitlines() if "Unsupported" in l or "instantiate" in l][:1])
