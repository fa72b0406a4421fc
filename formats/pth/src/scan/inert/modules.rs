//! The classes of PyTorch's modules, which do nothing when they are made bare and filled.

/// Why they do nothing.
pub(super) const MODULE: &str = "a module, which takes the attributes it is given and adds those of \
     later releases, calling nothing; the layers of a recurrent one, `care` bounds";

/// The files below `torch/nn/modules`, and the modules that are defined there: their names alone,
/// since each file has other classes and functions at hand.
///
/// Source: PyTorch 2.15, and `_LinearWithBias` of 1.4 to 1.7.
#[rustfmt::skip]
const MODULES: &[(&str, &[&str])] = &[
    ("activation", &[
        "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
        "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "MultiheadAttention", "PReLU", "RReLU",
        "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmax2d", "Softmin",
        "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
    ]),
    ("adaptive", &["AdaptiveLogSoftmaxWithLoss"]),
    ("batchnorm", &[
        "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LazyBatchNorm1d", "LazyBatchNorm2d",
        "LazyBatchNorm3d", "SyncBatchNorm", "_BatchNorm", "_LazyNormBase", "_NormBase",
    ]),
    ("channelshuffle", &["ChannelShuffle"]),
    ("container", &[
        "Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential",
    ]),
    ("conv", &[
        "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
        "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d",
        "LazyConvTranspose3d", "_ConvNd", "_ConvTransposeMixin", "_ConvTransposeNd",
    ]),
    ("distance", &["CosineSimilarity", "PairwiseDistance"]),
    ("dropout", &[
        "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
        "_DropoutNd",
    ]),
    ("flatten", &["Flatten", "Unflatten"]),
    ("fold", &["Fold", "Unfold"]),
    ("instancenorm", &[
        "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LazyInstanceNorm1d",
        "LazyInstanceNorm2d", "LazyInstanceNorm3d", "_InstanceNorm",
    ]),
    ("linear", &[
        "Bilinear", "Identity", "LazyLinear", "Linear", "NonDynamicallyQuantizableLinear",
        "_LinearWithBias",
    ]),
    ("loss", &[
        "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss",
        "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss",
        "LinearCrossEntropyLoss", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
        "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d", "PoissonNLLLoss",
        "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
        "_Loss", "_WeightedLoss",
    ]),
    ("module", &["Module"]),
    ("normalization", &["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]),
    ("padding", &[
        "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
        "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d",
        "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d",
        "ZeroPad3d", "_CircularPadNd", "_ConstantPadNd", "_ReflectionPadNd",
        "_ReplicationPadNd",
    ]),
    ("pixelshuffle", &["PixelShuffle", "PixelUnshuffle"]),
    ("pooling", &[
        "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
        "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
        "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d",
        "MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
        "_AdaptiveAvgPoolNd", "_AdaptiveMaxPoolNd", "_AvgPoolNd", "_LPPoolNd", "_MaxPoolNd",
        "_MaxUnpoolNd",
    ]),
    ("rnn", &["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]),
    ("sparse", &["Embedding", "EmbeddingBag"]),
    ("transformer", &[
        "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
        "TransformerEncoderLayer",
    ]),
    ("upsampling", &["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]),
];

/// True for the class of a module of PyTorch's own.
pub(super) fn is_module(path: &str) -> bool {
    let rest = path.strip_prefix("torch.nn.modules.").and_then(|rest| rest.split_once('.'));
    rest.is_some_and(|(file, class)| {
        MODULES.iter().any(|(name, classes)| *name == file && classes.contains(&class))
    })
}
