# The app's only screen. In Java it would read:
#
#     public final class MainActivity extends Activity {
#         @Override protected void onCreate(Bundle state) {
#             super.onCreate(state);
#             setContentView(R.layout.main);
#             String version = getPackageManager().getPackageInfo(getPackageName(), 0).versionName;
#             TextView view = findViewById(R.id.greeting);
#             view.setText(getString(R.string.greeting, version));
#         }
#     }
#
# The version comes from the package itself, so that both releases share this source and the screen
# shows which of them is installed. The resource ids are pinned in res/values/public.xml.

.class public final Ldev/dist/hello/MainActivity;
.super Landroid/app/Activity;
.source "MainActivity.smali"

.method public constructor <init>()V
    .registers 1

    invoke-direct {p0}, Landroid/app/Activity;-><init>()V
    return-void
.end method

.method protected onCreate(Landroid/os/Bundle;)V
    .registers 6

    invoke-super {p0, p1}, Landroid/app/Activity;->onCreate(Landroid/os/Bundle;)V

    const v0, 0x7f030000    # R.layout.main
    invoke-virtual {p0, v0}, Ldev/dist/hello/MainActivity;->setContentView(I)V

    # v1 = { getPackageInfo(getPackageName(), 0).versionName }, the arguments of the greeting
    invoke-virtual {p0}, Ldev/dist/hello/MainActivity;->getPackageManager()Landroid/content/pm/PackageManager;
    move-result-object v0
    invoke-virtual {p0}, Ldev/dist/hello/MainActivity;->getPackageName()Ljava/lang/String;
    move-result-object v1
    const/4 v2, 0x0
    invoke-virtual {v0, v1, v2}, Landroid/content/pm/PackageManager;->getPackageInfo(Ljava/lang/String;I)Landroid/content/pm/PackageInfo;
    move-result-object v0
    iget-object v0, v0, Landroid/content/pm/PackageInfo;->versionName:Ljava/lang/String;
    const/4 v1, 0x1
    new-array v1, v1, [Ljava/lang/Object;
    aput-object v0, v1, v2

    const v0, 0x7f040000    # R.string.greeting
    invoke-virtual {p0, v0, v1}, Ldev/dist/hello/MainActivity;->getString(I[Ljava/lang/Object;)Ljava/lang/String;
    move-result-object v1

    const v0, 0x7f020000    # R.id.greeting
    invoke-virtual {p0, v0}, Ldev/dist/hello/MainActivity;->findViewById(I)Landroid/view/View;
    move-result-object v0
    check-cast v0, Landroid/widget/TextView;
    invoke-virtual {v0, v1}, Landroid/widget/TextView;->setText(Ljava/lang/CharSequence;)V
    return-void
.end method
