// The app's whole program. Both nils mean UIKit's defaults: a UIApplication without a delegate,
// which shows an empty window. There are no Apple headers outside Xcode, hence the declaration.

extern int UIApplicationMain(int argc, char *argv[], void *principal_class, void *delegate_class);

int main(int argc, char *argv[]) {
    return UIApplicationMain(argc, argv, 0, 0);
}
