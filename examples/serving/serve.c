// Decomposes and differentiates the pencils that it reads, with a model that export.py saved. No Python takes part.
//
//     serve MODEL [LIBRARY] < PENCILS
//
// LIBRARY is tfqz's libtfqz_tf*.so for this TensorFlow; a model exported with `--backend graph` needs none. PENCILS is text: how many pencils, their size
// n, and for each pencil the rows of a and then those of b. Every output of every signature is printed: a line with the
// signature, the output's name and its shape, and then its rows.
//
// The inputs and outputs of a signature are tensors of a graph under names that saving makes up. The model has the names in
// a protocol buffer. export.py lists them in a text file as well, so that nothing but TensorFlow's C API is needed here.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

enum { MOST = 8 };  // inputs, and outputs, of a signature

static TF_Status* status;

static void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("serve: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

// For every call that sets `status`.
static void check(const char* what, const char* which) {
  if (TF_GetCode(status) != TF_OK) fail("can't %s %s: %s", what, which, TF_Message(status));
}

static TF_Tensor* new_tensor(int64_t count, int64_t n) {
  const int64_t shape[] = {count, n, n};
  TF_Tensor* tensor = TF_AllocateTensor(TF_DOUBLE, shape, 3, count * n * n * sizeof(double));
  if (tensor == NULL) fail("out of memory");
  return tensor;
}

static void read_pencils(FILE* file, TF_Tensor* pencils[2]) {
  long count, n;
  if (fscanf(file, "%ld %ld", &count, &n) != 2 || count < 0 || n < 0) fail("the input must begin with two numbers >= 0");
  for (int i = 0; i < 2; ++i) pencils[i] = new_tensor(count, n);
  for (long pencil = 0; pencil < count; ++pencil)
    for (int i = 0; i < 2; ++i) {
      double* matrix = (double*)TF_TensorData(pencils[i]) + pencil * n * n;
      for (long entry = 0; entry < n * n; ++entry)
        if (fscanf(file, "%lf", &matrix[entry]) != 1) fail("pencil %ld must have 2 n^2 numbers", pencil);
    }
}

static void print(const char* signature, const char* key, const TF_Tensor* tensor) {
  if (TF_TensorType(tensor) != TF_DOUBLE) fail("the output %s of %s must be in double precision", key, signature);
  int rank = TF_NumDims(tensor);
  printf("%s %s", signature, key);
  for (int i = 0; i < rank; ++i) printf(" %ld", (long)TF_Dim(tensor, i));
  putchar('\n');
  const double* entries = TF_TensorData(tensor);
  int64_t row = rank > 0 ? TF_Dim(tensor, rank - 1) : 1;
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) printf("%25.17g%s", entries[i], (i + 1) % row ? "" : "\n");
}

// Feeds a and b to a signature and prints what comes back.
static void run(TF_Session* session, TF_Graph* graph, const char* model, const char* signature, TF_Tensor* pencils[2]) {
  char path[4096], name[64], direction[16], key[64], operation[256], keys[MOST][sizeof key];
  TF_Output inputs[MOST], outputs[MOST];
  TF_Tensor *fed[MOST], *fetched[MOST] = {NULL};
  int input_count = 0, output_count = 0, index;

  snprintf(path, sizeof path, "%s/assets.extra/signatures.txt", model);
  FILE* file = fopen(path, "r");
  if (file == NULL) fail("can't open %s, which export.py writes", path);
  while (fscanf(file, "%63s %15s %63s %255s %d", name, direction, key, operation, &index) == 5) {
    if (strcmp(name, signature) != 0) continue;
    TF_Output tensor = {TF_GraphOperationByName(graph, operation), index};
    if (tensor.oper == NULL) fail("%s names %s, which the model hasn't", path, operation);
    if (input_count == MOST || output_count == MOST) fail("%s has too many inputs or outputs", signature);
    if (strcmp(direction, "outputs") == 0) {
      strcpy(keys[output_count], key);
      outputs[output_count++] = tensor;
    } else {
      if (strcmp(key, "a") != 0 && strcmp(key, "b") != 0) fail("the inputs of %s must be a and b; got %s", signature, key);
      fed[input_count] = pencils[key[0] - 'a'];
      inputs[input_count++] = tensor;
    }
  }
  fclose(file);
  if (output_count == 0) fail("%s has no signature %s", path, signature);

  TF_SessionRun(session, NULL, inputs, fed, input_count, outputs, fetched, output_count, NULL, 0, NULL, status);
  check("run", signature);
  for (int i = 0; i < output_count; ++i) {
    print(signature, keys[i], fetched[i]);
    TF_DeleteTensor(fetched[i]);
  }
}

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) fail("usage: serve MODEL [LIBRARY] < PENCILS");
  const char* model = argv[1];
  status = TF_NewStatus();

  // Before the model, whose graph is checked against the ops that are registered. They stay so without the handle.
  if (argc == 3) {
    TF_Library* library = TF_LoadLibrary(argv[2], status);
    check("load", argv[2]);
    TF_DeleteLibraryHandle(library);
  }
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, model, tags, 1, graph, NULL, status);
  check("load", model);

  TF_Tensor* pencils[2];
  read_pencils(stdin, pencils);
  run(session, graph, model, "serving_default", pencils);
  run(session, graph, model, "gradient", pencils);

  for (int i = 0; i < 2; ++i) TF_DeleteTensor(pencils[i]);
  TF_CloseSession(session, status);
  check("close", model);
  TF_DeleteSession(session, status);
  check("delete", model);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  if (ferror(stdout) || fclose(stdout) != 0) fail("can't write the output");
}
