# Made lenet-dataparallel.pth, which is here because statedict's first example needs a file that
# PyTorch wrote: LeNet, wrapped in nn.DataParallel as for several GPUs, saved the way people do.
import torch
from torch import nn
from torch.nn import functional as F


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


torch.manual_seed(0)
model = nn.DataParallel(LeNet())
torch.save(model.state_dict(), "lenet-dataparallel.pth")
