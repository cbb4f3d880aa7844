from mlgenn_delays.torch.module import DelayNetwork as DelayNetwork
from mlgenn_delays.torch.module import Outputs as Outputs
