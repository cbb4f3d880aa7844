#pragma once  // half precision: GeNN includes it, generated code does not use it
