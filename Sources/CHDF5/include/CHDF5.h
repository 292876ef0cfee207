#ifndef CHDF5_H
#define CHDF5_H

// What Swift cannot import of HDF5's C interface: macros, callbacks and the error stack. Everything else is called
// directly.

#include <hdf5.h>
#include <stddef.h>

typedef enum chdf5_scalar {
  CHDF5_FLOAT32,
  CHDF5_FLOAT64,
  CHDF5_INT8,
  CHDF5_INT16,
  CHDF5_INT32,
  CHDF5_INT64,
  CHDF5_UINT8,
  CHDF5_UINT16,
  CHDF5_UINT32,
  CHDF5_UINT64,
} chdf5_scalar;

/// The predefined type of a value in memory. Never close it.
hid_t chdf5_memory_type(chdf5_scalar scalar);

/// The predefined little-endian type of a value in a file. Never close it.
hid_t chdf5_stored_type(chdf5_scalar scalar);

/// A new fixed-length string type of `bytes` bytes (at least 1), padded with NUL bytes.
hid_t chdf5_fixed_string_type(size_t bytes, H5T_cset_t characters);

/// A new variable-length UTF-8 string type.
hid_t chdf5_variable_string_type(void);

/// A new enumeration FALSE = 0, TRUE = 1 over a signed byte: what h5py reads and writes as bool.
hid_t chdf5_boolean_type(void);

/// Opens the library if need be and keeps the calling thread's errors from being printed.
herr_t chdf5_prepare(void);

/// Around all use of the library. From `chdf5_on_crash` to the end of the outermost `chdf5_leave`, a crash on this
/// thread writes that message to standard error and ends the program with status 2; an empty message: crashes are
/// crashes.
void chdf5_enter(void);
void chdf5_leave(void);
void chdf5_on_crash(const char *message);

/// Calls `body` with every name in a group, or of every attribute of an object, in the order in which they are stored.
/// Asking for a sorted one makes HDF5 build a table each time, which it frees wrongly where the file is damaged.
/// Negative on failure.
typedef void (*chdf5_name_body)(const char *name, void *context);
herr_t chdf5_link_names(hid_t group, chdf5_name_body body, void *context);
herr_t chdf5_attribute_names(hid_t object, chdf5_name_body body, void *context);

/// Opens a copy of a file's contents for reading.
hid_t chdf5_open_in_memory(const void *bytes, size_t size);

/// Creates a file that lives in memory only, in the format that the oldest readers understand, without times.
hid_t chdf5_create_in_memory(void);

/// The bytes of a file made by `chdf5_create_in_memory`: valid until the next call with that file. NULL on failure.
const void *chdf5_image(hid_t file, size_t *size);

/// New creation property lists without times; links and attribute names are UTF-8, missing groups of a path are made.
hid_t chdf5_link_creation(void);
hid_t chdf5_group_creation(void);
hid_t chdf5_dataset_creation(void);
hid_t chdf5_attribute_creation(void);

/// The transfer property list that fails, instead of clamping, where a stored value does not fit the type in memory.
/// Never close it.
hid_t chdf5_strict_transfer(void);

hid_t chdf5_scalar_space(void);
hid_t chdf5_simple_space(int rank, const hsize_t *dimensions);
/// One dimension that may grow later.
hid_t chdf5_growing_space(hsize_t count);

/// Copies the innermost description on the error stack to `text`, empty where there is none.
void chdf5_error_text(char *text, size_t size);

/// Whether the error stack says that the file is shorter than its superblock says.
int chdf5_error_is_truncation(void);

/// Whether the error stack says that a value did not fit the type asked for.
int chdf5_error_is_conversion(void);

typedef enum chdf5_link {
  /// To an object of the file.
  CHDF5_LINK_INSIDE,
  /// There is no link, or it leads to no object of the file.
  CHDF5_LINK_NOWHERE,
  /// Following it would open another file.
  CHDF5_LINK_OUTSIDE,
} chdf5_link;

/// Where the link at `path` leads. Those on the way to it have to lead inside.
chdf5_link chdf5_follow(hid_t file, const char *path);

typedef enum chdf5_layout {
  /// The data lie in the file, compressed by deflate or not at all.
  CHDF5_LAYOUT_OWN,
  /// Put together from other datasets, of other files too.
  CHDF5_LAYOUT_VIRTUAL,
  /// In other files.
  CHDF5_LAYOUT_EXTERNAL,
  /// By a filter that HDF5 would load a library for.
  CHDF5_LAYOUT_FILTERED,
  CHDF5_LAYOUT_UNKNOWN,
} chdf5_layout;

/// Where a dataset's data lie.
chdf5_layout chdf5_dataset_layout(hid_t dataset);

#endif
